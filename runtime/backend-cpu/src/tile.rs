//! The products of attention: a few queries with a few keys, and the weighted sums of values.
//!
//! Keys and values are widened once for up to four queries, in registers. What one query gets does not depend on the
//! queries beside it: each product is summed in lanes over the head, each sum of values key by key.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use crate::{
    element::{Element, LANES},
    simd::mul_add,
};

/// Queries that are worked on together.
const QUERIES: usize = 4;
/// Keys that are worked on together.
const KEYS: usize = 2;
/// Stretches of lanes of a head that are summed together.
const STRETCH: usize = 2;

/// Some rows of one head: row `n` begins at `n · stride`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, E> {
    pub(crate) values: &'a [E],
    pub(crate) stride: usize,
    pub(crate) head_dim: usize,
}

impl<'a, E> Rows<'a, E> {
    #[inline(always)]
    pub(crate) fn row(&self, nth: usize) -> &'a [E] {
        &self.values[nth * self.stride..nth * self.stride + self.head_dim]
    }
}

/// Calls a macro with the number of queries of a group as a constant.
macro_rules! for_group {
    ($n:expr, $run:ident) => {
        match $n {
            1 => $run!(1),
            2 => $run!(2),
            3 => $run!(3),
            _ => $run!(4),
        }
    };
}

/// The product of each query with each of the first `n_keys` keys.
///
/// # Shapes
/// - scores: `[queries, pitch]`, of which the first `n_keys` of a row are written
#[inline(always)]
pub(crate) fn products<const FMA: bool, E: Element>(
    queries: &[&[f32]],
    keys: Rows<'_, E>,
    n_keys: usize,
    scores: &mut [f32],
    pitch: usize,
) {
    for (queries, scores) in queries.chunks(QUERIES).zip(scores.chunks_mut(QUERIES * pitch)) {
        macro_rules! group {
            ($n:literal) => {{
                let queries: [&[f32]; $n] = std::array::from_fn(|nth| queries[nth]);
                let mut key = 0;
                while key + KEYS <= n_keys {
                    let products = dots::<FMA, E, $n, KEYS>(queries, std::array::from_fn(|nth| keys.row(key + nth)));
                    for (query, products) in products.iter().enumerate() {
                        scores[query * pitch + key..query * pitch + key + KEYS].copy_from_slice(products);
                    }
                    key += KEYS;
                }
                if key < n_keys {
                    let products = dots::<FMA, E, $n, 1>(queries, [keys.row(key)]);
                    for (query, [product]) in products.into_iter().enumerate() {
                        scores[query * pitch + key] = product;
                    }
                }
            }};
        }
        for_group!(queries.len(), group);
    }
}

/// Adds, for each query, `weight · value` of the first `n_keys` keys to its row of `out`.
///
/// # Shapes
/// - weights: `[queries, pitch]`; out: `[queries, head_dim]`
#[inline(always)]
pub(crate) fn weighted_sums<const FMA: bool, E: Element>(
    weights: &[f32],
    pitch: usize,
    values: Rows<'_, E>,
    n_keys: usize,
    out: &mut [f32],
) {
    let head_dim = values.head_dim;
    for (weights, out) in weights.chunks(QUERIES * pitch).zip(out.chunks_mut(QUERIES * head_dim)) {
        macro_rules! group {
            ($n:literal) => {{
                let mut from = 0;
                while from + STRETCH * LANES <= head_dim {
                    add_stretch::<FMA, E, $n, STRETCH>(weights, pitch, values, n_keys, out, from);
                    from += STRETCH * LANES;
                }
                while from + LANES <= head_dim {
                    add_stretch::<FMA, E, $n, 1>(weights, pitch, values, n_keys, out, from);
                    from += LANES;
                }
                for at in from..head_dim {
                    for (query, out) in out.chunks_exact_mut(head_dim).enumerate() {
                        for key in 0..n_keys {
                            out[at] =
                                mul_add::<FMA>(weights[query * pitch + key], values.row(key)[at].widen_one(), out[at]);
                        }
                    }
                }
            }};
        }
        for_group!(out.len() / head_dim, group);
    }
}

/// All products of `Q` queries with `K` keys.
#[inline(always)]
fn dots<const FMA: bool, E: Element, const Q: usize, const K: usize>(
    queries: [&[f32]; Q],
    keys: [&[E]; K],
) -> [[f32; K]; Q] {
    let (queries, keys) = (queries.map(<[f32]>::as_chunks::<LANES>), keys.map(<[E]>::as_chunks::<LANES>));
    let n_chunks = keys[0].0.len();
    // Equal lengths that the compiler sees: no check inside of the loop.
    let (query_chunks, key_chunks) = (queries.map(|x| &x.0[..n_chunks]), keys.map(|x| &x.0[..n_chunks]));
    let mut lanes = [[[0f32; LANES]; K]; Q];
    for at in 0..n_chunks {
        let wide: [[f32; LANES]; K] = std::array::from_fn(|key| E::widen::<FMA>(&key_chunks[key][at]));
        for (lanes, query) in lanes.iter_mut().zip(&query_chunks) {
            for (lanes, wide) in lanes.iter_mut().zip(&wide) {
                for lane in 0..LANES {
                    lanes[lane] = mul_add::<FMA>(query[at][lane], wide[lane], lanes[lane]);
                }
            }
        }
    }
    std::array::from_fn(|query| {
        std::array::from_fn(|key| {
            let rest = queries[query].1.iter().zip(keys[key].1);
            rest.fold(sum_of(lanes[query][key]), |sum, (q, k)| mul_add::<FMA>(*q, k.widen_one(), sum))
        })
    })
}

#[inline(always)]
fn sum_of(mut lanes: [f32; LANES]) -> f32 {
    let mut n = LANES / 2;
    while n > 0 {
        for lane in 0..n {
            lanes[lane] += lanes[lane + n];
        }
        n /= 2;
    }
    lanes[0]
}

/// The part of [`weighted_sums`] for `S` stretches of lanes that begin at `from`.
#[inline(always)]
fn add_stretch<const FMA: bool, E: Element, const Q: usize, const S: usize>(
    weights: &[f32],
    pitch: usize,
    values: Rows<'_, E>,
    n_keys: usize,
    out: &mut [f32],
    from: usize,
) {
    let head_dim = values.head_dim;
    let mut sums = [[[0f32; LANES]; S]; Q];
    for (query, sums) in sums.iter_mut().enumerate() {
        let at = query * head_dim + from;
        for (sums, out) in sums.iter_mut().zip(out[at..at + S * LANES].as_chunks().0) {
            *sums = *out;
        }
    }
    let weights: [&[f32]; Q] = std::array::from_fn(|query| &weights[query * pitch..query * pitch + n_keys]);
    for key in 0..n_keys {
        let value = values.row(key)[from..from + S * LANES].as_chunks().0;
        for (nth, value) in value.iter().enumerate().take(S) {
            let wide = E::widen::<FMA>(value);
            for (sums, weights) in sums.iter_mut().zip(&weights) {
                for lane in 0..LANES {
                    sums[nth][lane] = mul_add::<FMA>(weights[key], wide[lane], sums[nth][lane]);
                }
            }
        }
    }
    for (query, sums) in sums.iter().enumerate() {
        let at = query * head_dim + from;
        for (sums, out) in sums.iter().zip(out[at..at + S * LANES].as_chunks_mut().0) {
            *out = *sums;
        }
    }
}
