//! Causal attention over the paged cache, block by block with a running maximum.
//!
//! A unit of work is a few rows of one sequence times one key-value head with all its query heads, so that keys and
//! values are widened once for all of them. A row's arithmetic does not depend on the rows beside it.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use alcazar_core::{AttentionSpec, BackendError, Batch, Sequence};
use candle_core::Tensor;

use super::{
    cache::Cache,
    parallel::for_each_chunk,
    simd::{Kernel, accumulate, dispatch, dot, tanh, widen},
    softmax::Running,
    to_tensor, width, with_values,
};

const OP: &str = "attention";
/// Rows of a unit.
const TILE: usize = 4;

struct Unit<'a> {
    sequence: &'a Sequence,
    /// First row, counted from the sequence's first.
    first: usize,
    n_rows: usize,
    kv_head: usize,
}

pub(crate) fn attention(
    [q, k, v]: [&Tensor; 3],
    cache: &mut Cache,
    spec: &AttentionSpec<'_>,
    batch: &Batch,
) -> Result<Tensor, BackendError> {
    spec_fits(spec)?;
    let (q_width, kv_width) = (spec.n_heads * spec.head_dim, spec.n_kv_heads * spec.head_dim);
    width(OP, q, Some(q_width))?;
    width(OP, k, Some(kv_width))?;
    width(OP, v, Some(kv_width))?;
    with_values(OP, k, |k| {
        with_values(OP, v, |v| {
            for sequence in &batch.sequences {
                let rows = sequence.first_row * kv_width..(sequence.first_row + sequence.n_tokens) * kv_width;
                let (k, v) = (k.get(rows.clone()).unwrap_or_default(), v.get(rows).unwrap_or_default());
                cache.store(spec.layer, sequence, k, v)?;
            }
            Ok(())
        })
    })?;
    let out = with_values(OP, q, |q| Ok(attend_all(q, cache, spec, batch)))?;
    to_tensor(OP, out, q_width)
}

fn spec_fits(spec: &AttentionSpec<'_>) -> Result<(), BackendError> {
    let fits = |per_head: &[f32]| per_head.is_empty() || per_head.len() == spec.n_heads;
    if fits(spec.slopes) && fits(spec.sinks) {
        return Ok(());
    }
    Err(BackendError::Shape {
        op: OP,
        found: format!("{} slopes, {} sinks", spec.slopes.len(), spec.sinks.len()),
        expected: format!("none, or one for each of {} heads", spec.n_heads),
    })
}

fn units<'a>(batch: &'a Batch, spec: &AttentionSpec<'_>) -> Vec<Unit<'a>> {
    let mut units = Vec::new();
    for sequence in &batch.sequences {
        for first in (0..sequence.n_tokens).step_by(TILE) {
            let n_rows = TILE.min(sequence.n_tokens - first);
            units.extend((0..spec.n_kv_heads).map(|kv_head| Unit { sequence, first, n_rows, kv_head }));
        }
    }
    units
}

fn attend_all(q: &[f32], cache: &Cache, spec: &AttentionSpec<'_>, batch: &Batch) -> Vec<f32> {
    let units = units(batch, spec);
    let group = spec.n_heads / spec.n_kv_heads * spec.head_dim;
    // Each unit writes a stretch of its own; the rows are put in their order afterwards.
    let mut parts = vec![0f32; units.len() * TILE * group];
    for_each_chunk(&mut parts, TILE * group, 2, |nth, out| {
        if let Some(unit) = units.get(nth) {
            dispatch(Attend { unit, q, cache, spec, out });
        }
    });
    let mut out = vec![0f32; q.len()];
    for (unit, part) in units.iter().zip(parts.chunks_exact(TILE * group)) {
        for (row, part) in part.chunks_exact(group).take(unit.n_rows).enumerate() {
            let at = (unit.sequence.first_row + unit.first + row) * spec.n_heads * spec.head_dim + unit.kv_head * group;
            if let Some(out) = out.get_mut(at..at + group) {
                out.copy_from_slice(part);
            }
        }
    }
    out
}

struct Attend<'a> {
    unit: &'a Unit<'a>,
    q: &'a [f32],
    cache: &'a Cache,
    spec: &'a AttentionSpec<'a>,
    /// `[TILE, query heads of the key-value head, head_dim]`, zero.
    out: &'a mut [f32],
}

impl Kernel for Attend<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { unit, q, cache, spec, out } = self;
        let (head_dim, block_tokens) = (spec.head_dim, cache.shape().block_tokens);
        let n_each = spec.n_heads / spec.n_kv_heads;
        let start = unit.sequence.start + unit.first;
        let head = |query: usize| unit.kv_head * n_each + query % n_each;
        let mut running: Vec<Running> =
            (0..unit.n_rows * n_each).map(|query| Running::new(spec.sinks.get(head(query)).copied())).collect();
        let mut scores = vec![0f32; block_tokens];
        let mut keys = vec![0f32; block_tokens * head_dim];
        let mut values = vec![0f32; block_tokens * head_dim];
        let n_blocks = cache.shape().blocks_for(start + unit.n_rows);
        let first_block = spec.first_visible(start) / block_tokens;
        for (nth, block) in unit.sequence.blocks.iter().enumerate().take(n_blocks).skip(first_block) {
            let Some((key_bits, value_bits)) = cache.block(spec.layer, *block, unit.kv_head) else { return };
            let before = nth * block_tokens;
            let n_needed = (start + unit.n_rows - before).min(block_tokens) * head_dim;
            widen(&mut keys[..n_needed], &key_bits[..n_needed]);
            widen(&mut values[..n_needed], &value_bits[..n_needed]);
            for (query, running) in running.iter_mut().enumerate() {
                let position = start + query / n_each;
                let from = spec.first_visible(position).saturating_sub(before);
                let to = (position + 1).saturating_sub(before).min(block_tokens);
                if from >= to {
                    continue;
                }
                let row = unit.sequence.first_row + unit.first + query / n_each;
                let at = (row * spec.n_heads + head(query)) * head_dim;
                let scores = &mut scores[from..to];
                score::<FMA>(scores, &q[at..at + head_dim], &keys[from * head_dim..], spec.scale);
                shape::<FMA>(scores, spec, head(query), (position, before + from));
                let out = &mut out[query * head_dim..(query + 1) * head_dim];
                running.renew::<FMA>(scores, out);
                for (weight, value) in scores.iter().zip(values[from * head_dim..].chunks_exact(head_dim)) {
                    accumulate::<FMA>(out, *weight, value);
                }
            }
        }
        for (running, out) in running.iter().zip(out.chunks_exact_mut(head_dim)) {
            for x in out.iter_mut() {
                *x /= running.sum;
            }
        }
    }
}

#[inline(always)]
fn score<const FMA: bool>(scores: &mut [f32], q: &[f32], keys: &[f32], scale: f32) {
    for (score, key) in scores.iter_mut().zip(keys.chunks_exact(q.len())) {
        *score = dot::<FMA>(q, key) * scale;
    }
}

/// Caps the scores of the keys from position `first` on, then shifts them by their distance.
#[inline(always)]
fn shape<const FMA: bool>(scores: &mut [f32], spec: &AttentionSpec<'_>, head: usize, (query, first): (usize, usize)) {
    if let Some(cap) = spec.soft_cap {
        for score in scores.iter_mut() {
            *score = cap * tanh::<FMA>(*score / cap);
        }
    }
    if let Some(slope) = spec.slopes.get(head) {
        for (nth, score) in scores.iter_mut().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a context has fewer than 2^24 positions")]
            let distance = (query - (first + nth)) as f32;
            *score -= slope * distance;
        }
    }
}
