//! Causal attention over the paged cache, block by block with a running maximum.
//!
//! A unit of work is a few rows of one sequence times one key-value head with all its query heads. A row's arithmetic does
//! not depend on the rows beside it.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use std::ops::Range;

use alcazar_core::{AttentionSpec, BackendError, Batch, Sequence};

use crate::{
    cache::{Blocks, Cache, Stored},
    element::Element,
    parallel::for_each_chunk,
    pool::Pool,
    simd::{Kernel, dispatch, tanh},
    softmax::Running,
    tensor::{Tensor, misfit},
    tile::{Rows, products, weighted_sums},
};

const OP: &str = "attention";
/// Rows of a unit.
const TILE: usize = 8;

struct Unit<'a> {
    sequence: &'a Sequence,
    /// First row, counted from the sequence's first.
    first: usize,
    n_rows: usize,
    kv_head: usize,
}

pub(crate) fn attention(
    qkv: [&Tensor; 3],
    cache: &mut Cache,
    spec: &AttentionSpec<'_>,
    batch: &Batch,
    pool: &Pool,
) -> Result<Tensor, BackendError> {
    match &mut cache.0 {
        Stored::F16(blocks) => store_and_attend(qkv, blocks, spec, batch, pool),
        Stored::F32(blocks) => store_and_attend(qkv, blocks, spec, batch, pool),
    }
}

fn store_and_attend<E: Element>(
    [q, k, v]: [&Tensor; 3],
    blocks: &mut Blocks<E>,
    spec: &AttentionSpec<'_>,
    batch: &Batch,
    pool: &Pool,
) -> Result<Tensor, BackendError> {
    check(spec)?;
    blocks.check(spec.layer, spec.n_kv_heads, spec.head_dim)?;
    let kv_width = spec.n_kv_heads * spec.head_dim;
    q.check_width(OP, spec.n_heads * spec.head_dim)?;
    for x in [k, v] {
        x.check_width(OP, kv_width)?;
    }
    for sequence in &batch.sequences {
        let rows = sequence.first_row * kv_width..(sequence.first_row + sequence.n_tokens) * kv_width;
        let there = q.n_rows() >= sequence.first_row + sequence.n_tokens;
        let (Some(k), Some(v), true) = (k.values.get(rows.clone()), v.values.get(rows), there) else {
            return Err(misfit(OP, format!("{:?}", q.dims()), format!("the rows of {}", sequence.id)));
        };
        blocks.store(spec.layer, sequence, k, v)?;
    }
    Ok(attend_all(q, blocks, spec, batch, pool))
}

fn check(spec: &AttentionSpec<'_>) -> Result<(), BackendError> {
    let fits = |per_head: &[f32]| per_head.is_empty() || per_head.len() == spec.n_heads;
    if fits(spec.slopes) && fits(spec.sinks) && spec.n_kv_heads > 0 && spec.n_heads.is_multiple_of(spec.n_kv_heads) {
        return Ok(());
    }
    let AttentionSpec { n_heads, n_kv_heads, slopes, sinks, .. } = spec;
    let found = format!("{n_heads} heads over {n_kv_heads}, {} slopes, {} sinks", slopes.len(), sinks.len());
    Err(misfit(OP, found, "whole groups of heads, and a slope and a sink for each head or none".to_owned()))
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

fn attend_all<E: Element>(
    q: &Tensor,
    blocks: &Blocks<E>,
    spec: &AttentionSpec<'_>,
    batch: &Batch,
    pool: &Pool,
) -> Tensor {
    let units = units(batch, spec);
    let group = spec.n_heads / spec.n_kv_heads * spec.head_dim;
    let tile = units.iter().map(|unit| unit.n_rows).max().unwrap_or(0) * group;
    // Each unit writes a stretch of its own; the rows are put in their order afterwards.
    let mut parts = vec![0f32; units.len() * tile];
    for_each_chunk(pool, &mut parts, tile, 2, |nth, out| {
        if let Some(unit) = units.get(nth) {
            dispatch(Attend { unit, q: &q.values, blocks, spec, out: &mut out[..unit.n_rows * group] });
        }
    });
    let mut out = Tensor::zeros(q.n_rows(), q.width);
    for (unit, part) in units.iter().zip(parts.chunks_exact(tile.max(1))) {
        for (row, part) in part.chunks_exact(group).take(unit.n_rows).enumerate() {
            let at = (unit.sequence.first_row + unit.first + row) * q.width + unit.kv_head * group;
            if let Some(out) = out.values.get_mut(at..at + group) {
                out.copy_from_slice(part);
            }
        }
    }
    out
}

struct Attend<'a, E> {
    unit: &'a Unit<'a>,
    q: &'a [f32],
    blocks: &'a Blocks<E>,
    spec: &'a AttentionSpec<'a>,
    /// `[n_rows, query heads of the key-value head, head_dim]`, zero.
    out: &'a mut [f32],
}

impl<E: Element> Kernel for Attend<'_, E> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { unit, q, blocks, spec, out } = self;
        let (head_dim, block_tokens) = (spec.head_dim, blocks.shape().block_tokens);
        let n_each = spec.n_heads / spec.n_kv_heads;
        let start = unit.sequence.start + unit.first;
        let head = |query: usize| unit.kv_head * n_each + query % n_each;
        let queries: Vec<&[f32]> = (0..unit.n_rows * n_each)
            .map(|query| {
                let row = unit.sequence.first_row + unit.first + query / n_each;
                let at = (row * spec.n_heads + head(query)) * head_dim;
                &q[at..at + head_dim]
            })
            .collect();
        let mut running: Vec<Running> =
            (0..queries.len()).map(|query| Running::new(spec.sinks.get(head(query)).copied())).collect();
        let mut scores = vec![0f32; queries.len() * block_tokens];
        let n_blocks = blocks.shape().blocks_for(start + unit.n_rows);
        let first_block = spec.first_visible(start) / block_tokens;
        for (nth, block) in unit.sequence.blocks.iter().enumerate().take(n_blocks).skip(first_block) {
            let Some((keys, values)) = blocks.block(spec.layer, *block, unit.kv_head) else { return };
            let before = nth * block_tokens;
            let n_keys = (start + unit.n_rows - before).min(block_tokens);
            let rows = |values| Rows { values, stride: head_dim, head_dim };
            products::<FMA, E>(&queries, rows(keys), n_keys, &mut scores, block_tokens);
            for (query, running) in running.iter_mut().enumerate() {
                let position = start + query / n_each;
                let from = spec.first_visible(position).saturating_sub(before).min(n_keys);
                let to = (position + 1).saturating_sub(before).min(n_keys);
                let scores = &mut scores[query * block_tokens..query * block_tokens + n_keys];
                let out = &mut out[query * head_dim..(query + 1) * head_dim];
                weigh::<FMA>(scores, from..to, spec, head(query), (position, before), running, out);
            }
            weighted_sums::<FMA, E>(&scores, block_tokens, rows(values), n_keys, out);
        }
        for (running, out) in running.iter().zip(out.chunks_exact_mut(head_dim)) {
            for x in out.iter_mut() {
                *x /= running.sum;
            }
        }
    }
}

/// Turns a query's products with the keys from position `first` on into weights, none outside of what it sees.
#[inline(always)]
fn weigh<const FMA: bool>(
    scores: &mut [f32],
    seen: Range<usize>,
    spec: &AttentionSpec<'_>,
    head: usize,
    (query, first): (usize, usize),
    running: &mut Running,
    out: &mut [f32],
) {
    let (from, to) = (seen.start, seen.end.max(seen.start));
    scores[..from].fill(0.0);
    scores[to..].fill(0.0);
    let scores = &mut scores[from..to];
    if scores.is_empty() {
        return;
    }
    for score in scores.iter_mut() {
        *score *= spec.scale;
    }
    if let Some(cap) = spec.soft_cap {
        for score in scores.iter_mut() {
            *score = cap * tanh::<FMA>(*score / cap);
        }
    }
    if let Some(slope) = spec.slopes.get(head) {
        for (nth, score) in scores.iter_mut().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a context has fewer than 2^24 positions")]
            let distance = (query - (first + from + nth)) as f32;
            *score -= slope * distance;
        }
    }
    running.renew::<FMA>(scores, out);
}
