//! Keys and values in blocks, in f16.

use alcazar_core::{BackendError, BlockId, CacheShape, Sequence, backend::CacheSpec};
use half::{f16, slice::HalfFloatSliceExt};

/// Layout of keys and of values: `[layer][block][kv head][token][head_dim]`, so that a head's block is one stretch.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Bits of f16: zeroed memory of integers is given out untouched, so an unused cache takes no memory.
    keys: Vec<u16>,
    values: Vec<u16>,
    spec: CacheSpec,
}

impl Cache {
    pub(crate) fn new(spec: &CacheSpec) -> Result<Self, BackendError> {
        let sizes = [spec.shape.n_tokens(), spec.n_layers, spec.n_kv_heads, spec.head_dim];
        let Some(size) = sizes.iter().try_fold(1usize, |product, n| product.checked_mul(*n)) else {
            return Err(BackendError::Shape {
                op: "cache",
                found: format!("{spec:?}"),
                expected: "a size that fits the memory".to_owned(),
            });
        };
        Ok(Self { keys: vec![0; size], values: vec![0; size], spec: *spec })
    }

    pub(super) const fn shape(&self) -> CacheShape {
        self.spec.shape
    }

    const fn head_block(&self) -> usize {
        self.spec.shape.block_tokens * self.spec.head_dim
    }

    fn offset(&self, layer: usize, block: BlockId, kv_head: usize) -> usize {
        ((layer * self.spec.shape.n_blocks + block.index()) * self.spec.n_kv_heads + kv_head) * self.head_block()
    }

    /// Keys and values of one head in one block: `[block_tokens · head_dim]`, f16 bits.
    pub(super) fn block(&self, layer: usize, block: BlockId, kv_head: usize) -> Option<(&[u16], &[u16])> {
        let at = self.offset(layer, block, kv_head);
        let range = at..at + self.head_block();
        Some((self.keys.get(range.clone())?, self.values.get(range)?))
    }

    /// Stores a sequence's rows; `keys` and `values` are `[n_tokens, n_kv_heads · head_dim]`.
    pub(super) fn store(
        &mut self,
        layer: usize,
        sequence: &Sequence,
        keys: &[f32],
        values: &[f32],
    ) -> Result<(), BackendError> {
        let head_dim = self.spec.head_dim;
        let width = self.spec.n_kv_heads * head_dim;
        let block_tokens = self.spec.shape.block_tokens;
        for (row, (keys, values)) in keys.chunks_exact(width).zip(values.chunks_exact(width)).enumerate() {
            let position = sequence.start + row;
            let block = sequence.blocks.get(position / block_tokens).copied();
            for head in 0..self.spec.n_kv_heads {
                let from = head * head_dim..(head + 1) * head_dim;
                let to = block.map(|block| self.offset(layer, block, head) + position % block_tokens * head_dim);
                let stored = to.is_some_and(|to| {
                    narrow(&mut self.keys, to, keys.get(from.clone())) && narrow(&mut self.values, to, values.get(from))
                });
                if !stored {
                    return Err(BackendError::Shape {
                        op: "attention",
                        found: format!("position {position} of {} in layer {layer}", sequence.id),
                        expected: format!("a place in {:?}", self.spec),
                    });
                }
            }
        }
        Ok(())
    }
}

fn narrow(out: &mut [u16], at: usize, values: Option<&[f32]>) -> bool {
    let Some((out, values)) = values.and_then(|values| Some((out.get_mut(at..at + values.len())?, values))) else {
        return false;
    };
    let mut halves = [f16::ZERO; 32];
    for (out, values) in out.chunks_mut(halves.len()).zip(values.chunks(halves.len())) {
        let Some(halves) = halves.get_mut(..values.len()) else { return false };
        halves.convert_from_f32_slice(values);
        out.iter_mut().zip(halves).for_each(|(out, half)| *out = half.to_bits());
    }
    true
}
