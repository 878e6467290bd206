//! Causal attention over the paged cache, block by block with a running softmax (Milakov and Gimelshein, 2018; Dao et
//! al., 2022): scores of a whole context are never held.

use std::sync::OnceLock;

use alcazar_core::{AttentionSpec, Batch, Sequence};

use crate::{
    cache::{Cache, Place},
    kernels,
};

/// Stores the batch's keys and values.
///
/// # Shapes
/// - k, v: `[rows, n_kv_heads · head_dim]`
pub(crate) fn store(cache: &mut Cache, spec: &AttentionSpec, batch: &Batch, k: &[f32], v: &[f32]) {
    let width = spec.n_kv_heads * spec.head_dim;
    for sequence in &batch.sequences {
        for n in 0..sequence.n_tokens {
            let row = (sequence.first_row + n) * width..(sequence.first_row + n + 1) * width;
            cache.store(spec.layer, &sequence.blocks, sequence.start + n, &k[row.clone()], &v[row]);
        }
    }
}

/// Attends each row to its own sequence.
///
/// # Shapes
/// - q and output: `[rows, n_heads · head_dim]`
pub(crate) fn attend(cache: &Cache, spec: &AttentionSpec, batch: &Batch, q: &[f32]) -> Vec<f32> {
    // One unit of work: all rows of one sequence for one key head, so that its keys are widened once for all of them.
    let units: Vec<(&Sequence, usize)> =
        batch.sequences.iter().flat_map(|sequence| (0..spec.n_kv_heads).map(move |head| (sequence, head))).collect();
    let outputs: Vec<OnceLock<Vec<f32>>> = units.iter().map(|_| OnceLock::new()).collect();
    candle_core::utils::barrier_pool().execute_chunked(units.len(), |range| {
        for n in range {
            let (sequence, head) = units[n];
            // Each unit is handed out once, so the cell is empty.
            let _ = outputs[n].set(Unit { cache, spec, sequence, head }.run(q));
        }
    });
    let mut output = vec![0.0; q.len()];
    for ((sequence, head), values) in units.iter().zip(&outputs) {
        Unit { cache, spec, sequence, head: *head }.scatter(values.get().map_or(&[], Vec::as_slice), &mut output);
    }
    output
}

struct Unit<'a> {
    cache: &'a Cache,
    spec: &'a AttentionSpec,
    sequence: &'a Sequence,
    /// Key and value head.
    head: usize,
}

impl Unit<'_> {
    /// Query heads that share the key head.
    const fn group(&self) -> usize {
        self.spec.n_heads / self.spec.n_kv_heads
    }

    /// Where a query head of a row begins in q and in the output.
    const fn start(&self, row: usize, member: usize) -> usize {
        let head = self.head * self.group() + member;
        ((self.sequence.first_row + row) * self.spec.n_heads + head) * self.spec.head_dim
    }

    /// The result of every row and query head: `[n_tokens, group, head_dim]`.
    fn run(&self, q: &[f32]) -> Vec<f32> {
        let (dim, block_tokens, group) = (self.spec.head_dim, self.cache.block_tokens(), self.group());
        let mut states = vec![kernels::Softmax::default(); self.sequence.n_tokens * group];
        let mut output = vec![0.0; states.len() * dim];
        let mut keys = vec![0.0; block_tokens * dim];
        let mut values = keys.clone();
        let n_seen = self.sequence.start + self.sequence.n_tokens;
        for (first, block) in (0..n_seen).step_by(block_tokens).zip(&self.sequence.blocks) {
            let n_tokens = block_tokens.min(n_seen - first);
            let place = Place { layer: self.spec.layer, block: *block, head: self.head };
            self.cache.widen(place, n_tokens, &mut keys, &mut values);
            for row in 0..self.sequence.n_tokens {
                // A row sees itself and what came before.
                let visible = (self.sequence.start + row + 1).saturating_sub(first).min(n_tokens);
                if visible == 0 {
                    continue;
                }
                let block = kernels::Block { keys: &keys[..visible * dim], values: &values[..visible * dim] };
                for member in 0..group {
                    let start = self.start(row, member);
                    let n = row * group + member;
                    let out = &mut output[n * dim..(n + 1) * dim];
                    kernels::attend(&q[start..start + dim], &block, self.spec.scale, &mut states[n], out);
                }
            }
        }
        for (state, out) in states.iter().zip(output.chunks_exact_mut(dim)) {
            state.finish(out);
        }
        output
    }

    fn scatter(&self, values: &[f32], output: &mut [f32]) {
        let (dim, group) = (self.spec.head_dim, self.group());
        for (n, part) in values.chunks_exact(dim).enumerate() {
            let start = self.start(n / group, n % group);
            output[start..start + dim].copy_from_slice(part);
        }
    }
}
