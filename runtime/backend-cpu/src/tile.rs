//! The products of attention: a few queries with a few keys, and the weighted sums of values.
//!
//! Keys and values are widened once for up to four queries, in registers. What one query gets does not depend on the
//! queries beside it: each product is summed in lanes over the head, each sum of values key by key.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

#[cfg(target_arch = "x86_64")]
use crate::lanes::Avx;
use crate::{
    element::Element,
    lanes::{LANES, Lanes, Plain},
};

/// Queries that are worked on together.
const QUERIES: usize = 4;

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

/// Calls a macro with the number of queries of a group as a constant, and how many keys or vectors of a head are worked
/// on together with so many: there are sixteen registers, and a sum waits for four instructions.
macro_rules! for_group {
    ($n:expr, $run:ident) => {
        match $n {
            1 => $run!(1, 8),
            2 => $run!(2, 4),
            3 => $run!(3, 2),
            _ => $run!(4, 2),
        }
    };
}

/// The product of each query with each of the first `n_keys` keys. `FMA` as in [`crate::simd::Kernel`].
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
    #[cfg(target_arch = "x86_64")]
    if FMA {
        return products_in::<Avx, E>(queries, keys, n_keys, scores, pitch);
    }
    products_in::<Plain<FMA>, E>(queries, keys, n_keys, scores, pitch);
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
    #[cfg(target_arch = "x86_64")]
    if FMA {
        return weighted_sums_in::<Avx, E>(weights, pitch, values, n_keys, out);
    }
    weighted_sums_in::<Plain<FMA>, E>(weights, pitch, values, n_keys, out);
}

#[inline(always)]
fn products_in<L: Lanes, E: Element>(
    queries: &[&[f32]],
    keys: Rows<'_, E>,
    n_keys: usize,
    scores: &mut [f32],
    pitch: usize,
) {
    for (queries, scores) in queries.chunks(QUERIES).zip(scores.chunks_mut(QUERIES * pitch)) {
        macro_rules! group {
            ($n:literal, $n_keys:literal) => {{
                let queries: [&[f32]; $n] = std::array::from_fn(|nth| queries[nth]);
                let mut key = 0;
                while key + $n_keys <= n_keys {
                    let products = dots::<L, E, $n, $n_keys>(queries, std::array::from_fn(|nth| keys.row(key + nth)));
                    for (query, products) in products.iter().enumerate() {
                        scores[query * pitch + key..query * pitch + key + $n_keys].copy_from_slice(products);
                    }
                    key += $n_keys;
                }
                while key < n_keys {
                    let products = dots::<L, E, $n, 1>(queries, [keys.row(key)]);
                    for (query, [product]) in products.into_iter().enumerate() {
                        scores[query * pitch + key] = product;
                    }
                    key += 1;
                }
            }};
        }
        for_group!(queries.len(), group);
    }
}

#[inline(always)]
fn weighted_sums_in<L: Lanes, E: Element>(
    weights: &[f32],
    pitch: usize,
    values: Rows<'_, E>,
    n_keys: usize,
    out: &mut [f32],
) {
    let head_dim = values.head_dim;
    for (weights, out) in weights.chunks(QUERIES * pitch).zip(out.chunks_mut(QUERIES * head_dim)) {
        macro_rules! group {
            ($n:literal, $n_vectors:literal) => {{
                let mut from = 0;
                while from + $n_vectors * LANES <= head_dim {
                    add_stretch::<L, E, $n, $n_vectors>(weights, pitch, values, n_keys, out, from);
                    from += $n_vectors * LANES;
                }
                while from + LANES <= head_dim {
                    add_stretch::<L, E, $n, 1>(weights, pitch, values, n_keys, out, from);
                    from += LANES;
                }
                for at in from..head_dim {
                    for (weights, out) in weights.chunks(pitch).zip(out.chunks_exact_mut(head_dim)) {
                        for (key, weight) in weights.iter().enumerate().take(n_keys) {
                            out[at] += weight * values.row(key)[at].widen_one();
                        }
                    }
                }
            }};
        }
        for_group!(out.len() / head_dim, group);
    }
}

// Vectors are not passed through closures below: what the library calls is compiled for the oldest CPU.

/// All products of `Q` queries with `K` keys.
#[inline(always)]
fn dots<L: Lanes, E: Element, const Q: usize, const K: usize>(queries: [&[f32]; Q], keys: [&[E]; K]) -> [[f32; K]; Q] {
    let (queries, keys) = (queries.map(<[f32]>::as_chunks::<LANES>), keys.map(<[E]>::as_chunks::<LANES>));
    let n_chunks = keys[0].0.len();
    // Equal lengths that the compiler sees: no check inside of the loop.
    let (query_chunks, key_chunks) = (queries.map(|x| &x.0[..n_chunks]), keys.map(|x| &x.0[..n_chunks]));
    let mut sums = [[L::splat(0.0); K]; Q];
    for at in 0..n_chunks {
        let mut wide = [L::splat(0.0); K];
        for key in 0..K {
            wide[key] = E::widen(&key_chunks[key][at]);
        }
        for query in 0..Q {
            let values = L::load(&query_chunks[query][at]);
            for key in 0..K {
                sums[query][key] = wide[key].mul_add(values, sums[query][key]);
            }
        }
    }
    let mut products = [[0.0; K]; Q];
    for query in 0..Q {
        for key in 0..K {
            products[query][key] = sums[query][key].sum();
            for (q, k) in queries[query].1.iter().zip(keys[key].1) {
                products[query][key] += q * k.widen_one();
            }
        }
    }
    products
}

/// The part of [`weighted_sums`] for `S` vectors that begin at `from`.
#[inline(always)]
fn add_stretch<L: Lanes, E: Element, const Q: usize, const S: usize>(
    weights: &[f32],
    pitch: usize,
    values: Rows<'_, E>,
    n_keys: usize,
    out: &mut [f32],
    from: usize,
) {
    let place = |query: usize| query * values.head_dim + from..query * values.head_dim + from + S * LANES;
    let mut sums = [[L::splat(0.0); S]; Q];
    for query in 0..Q {
        let out = out[place(query)].as_chunks().0;
        for nth in 0..S {
            sums[query][nth] = L::load(&out[nth]);
        }
    }
    for key in 0..n_keys {
        let value = values.row(key)[from..from + S * LANES].as_chunks().0;
        let mut wide = [L::splat(0.0); S];
        for nth in 0..S {
            wide[nth] = E::widen(&value[nth]);
        }
        for query in 0..Q {
            let weight = L::splat(weights[query * pitch + key]);
            for nth in 0..S {
                sums[query][nth] = wide[nth].mul_add(weight, sums[query][nth]);
            }
        }
    }
    for query in 0..Q {
        let out = out[place(query)].as_chunks_mut().0;
        for nth in 0..S {
            sums[query][nth].store(&mut out[nth]);
        }
    }
}
