//! Attention both ways within packed sequences.
//!
//! A unit of work is a few rows of one sequence times one head. A row's arithmetic does not depend on other sequences.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use alcazar_core::{BackendError, Disentangled, PackedAttention, attention::distance_index};
use candle_core::Tensor;

use super::{
    parallel::for_each_chunk,
    simd::{Kernel, accumulate, dispatch, dot},
    softmax::Running,
    to_tensor, width, with_values,
};

const OP: &str = "packed_attention";
/// Rows of a unit.
const TILE: usize = 8;

struct Unit {
    /// The sequence: its first row, and how many it has.
    first_row: usize,
    length: usize,
    /// The unit's rows, counted from the sequence's first.
    from: usize,
    n_rows: usize,
    head: usize,
}

/// Keys and queries of distances, on slices.
#[derive(Clone, Copy)]
struct Relative<'a> {
    buckets: &'a [u32],
    reach: usize,
    keys: &'a [f32],
    queries: &'a [f32],
}

struct Inputs<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    relative: Option<Relative<'a>>,
}

pub(crate) fn packed_attention(
    [q, k, v]: [&Tensor; 3],
    spec: &PackedAttention<'_, Tensor>,
) -> Result<Tensor, BackendError> {
    for x in [q, k, v] {
        width(OP, x, Some(spec.n_heads * spec.head_dim))?;
    }
    let out = with_values(OP, q, |q| {
        with_values(OP, k, |k| {
            with_values(OP, v, |v| {
                with_relative(spec.relative.as_ref(), |relative| Ok(attend_all(&Inputs { q, k, v, relative }, spec)))
            })
        })
    })?;
    to_tensor(OP, out, spec.n_heads * spec.head_dim)
}

fn with_relative<T>(
    relative: Option<&Disentangled<'_, Tensor>>,
    f: impl FnOnce(Option<Relative<'_>>) -> Result<T, BackendError>,
) -> Result<T, BackendError> {
    let Some(Disentangled { buckets, reach, keys, queries }) = relative else { return f(None) };
    let (buckets, reach) = (*buckets, *reach);
    match (keys, queries) {
        (None, None) => f(None),
        (Some(keys), None) => with_values(OP, keys, |keys| f(Some(Relative { buckets, reach, keys, queries: &[] }))),
        (None, Some(queries)) => {
            with_values(OP, queries, |queries| f(Some(Relative { buckets, reach, keys: &[], queries })))
        }
        (Some(keys), Some(queries)) => with_values(OP, keys, |keys| {
            with_values(OP, queries, |queries| f(Some(Relative { buckets, reach, keys, queries })))
        }),
    }
}

fn units(spec: &PackedAttention<'_, Tensor>) -> Vec<Unit> {
    let (mut units, mut first_row) = (Vec::new(), 0);
    for length in spec.lengths.iter().copied() {
        for from in (0..length).step_by(TILE) {
            let n_rows = TILE.min(length - from);
            units.extend((0..spec.n_heads).map(|head| Unit { first_row, length, from, n_rows, head }));
        }
        first_row += length;
    }
    units
}

fn attend_all(inputs: &Inputs<'_>, spec: &PackedAttention<'_, Tensor>) -> Vec<f32> {
    let (units, head_dim) = (units(spec), spec.head_dim);
    // Each unit writes a stretch of its own; the rows are put in their order afterwards.
    let mut parts = vec![0f32; units.len() * TILE * head_dim];
    for_each_chunk(&mut parts, TILE * head_dim, 2, |nth, out| {
        if let Some(unit) = units.get(nth) {
            dispatch(Attend { unit, inputs, spec, out });
        }
    });
    let mut out = vec![0f32; inputs.q.len()];
    for (unit, part) in units.iter().zip(parts.chunks_exact(TILE * head_dim)) {
        for (row, part) in part.chunks_exact(head_dim).take(unit.n_rows).enumerate() {
            let at = ((unit.first_row + unit.from + row) * spec.n_heads + unit.head) * head_dim;
            if let Some(out) = out.get_mut(at..at + head_dim) {
                out.copy_from_slice(part);
            }
        }
    }
    out
}

struct Attend<'a> {
    unit: &'a Unit,
    inputs: &'a Inputs<'a>,
    spec: &'a PackedAttention<'a, Tensor>,
    /// `[TILE, head_dim]`, zero.
    out: &'a mut [f32],
}

impl Kernel for Attend<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { unit, inputs, spec, out } = self;
        let head_dim = spec.head_dim;
        // The head's part of a row of the whole.
        let part = |row: usize| {
            let at = (row * spec.n_heads + unit.head) * head_dim;
            at..at + head_dim
        };
        let mut scores = vec![0f32; unit.length];
        for (row, out) in (unit.from..).zip(out.chunks_exact_mut(head_dim)).take(unit.n_rows) {
            let reach = spec.window.unwrap_or(unit.length);
            let (from, to) = (row.saturating_sub(reach), (row + reach + 1).min(unit.length));
            let scores = &mut scores[..to - from];
            let q = &inputs.q[part(unit.first_row + row)];
            for (key, score) in (from..).zip(scores.iter_mut()) {
                let k = &inputs.k[part(unit.first_row + key)];
                *score = dot::<FMA>(q, k);
                if let Some(relative) = inputs.relative {
                    let bucket = relative.buckets[distance_index(row, key, relative.reach)] as usize;
                    *score += relative.keys.get(part(bucket)).map_or(0.0, |of_distance| dot::<FMA>(q, of_distance));
                    *score += relative.queries.get(part(bucket)).map_or(0.0, |of_distance| dot::<FMA>(k, of_distance));
                }
                *score *= spec.scale;
                if let Some(bias) = spec.bias {
                    *score += bias.values[unit.head * (2 * bias.reach + 1) + distance_index(row, key, bias.reach)];
                }
            }
            let mut running = Running::new(None);
            running.renew::<FMA>(scores, out);
            for (key, weight) in (from..).zip(scores.iter()) {
                accumulate::<FMA>(out, *weight / running.sum, &inputs.v[part(unit.first_row + key)]);
            }
        }
    }
}
