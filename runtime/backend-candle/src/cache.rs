//! Keys and values in blocks, f16, in host memory.

use alcazar_core::{BlockId, backend::CacheSpec};
use half::{f16, slice::HalfFloatSliceExt};

/// The cache of all layers. The part of one block that belongs to one head is contiguous: `[block_tokens, head_dim]`.
pub struct Cache {
    spec: CacheSpec,
    /// Per layer.
    keys: Vec<Vec<f16>>,
    values: Vec<Vec<f16>>,
}

impl Cache {
    /// Zeroed; the memory is touched only as blocks are used.
    pub(crate) fn new(spec: CacheSpec) -> Self {
        let n_elements = spec.shape.n_tokens() * spec.n_kv_heads * spec.head_dim;
        let layers = || (0..spec.n_layers).map(|_| vec![f16::ZERO; n_elements]).collect();
        Self { spec, keys: layers(), values: layers() }
    }

    /// Tokens per block.
    pub(crate) const fn block_tokens(&self) -> usize {
        self.spec.shape.block_tokens
    }

    /// Stores one token's keys and values, `[n_kv_heads · head_dim]` each, at `position` of a sequence with `blocks`.
    pub(crate) fn store(&mut self, layer: usize, blocks: &[BlockId], position: usize, key: &[f32], value: &[f32]) {
        let (block, slot) = (blocks[position / self.block_tokens()], position % self.block_tokens());
        let head_dim = self.spec.head_dim;
        for head in 0..self.spec.n_kv_heads {
            let start = self.head_start(block, head) + slot * head_dim;
            let part = head * head_dim..(head + 1) * head_dim;
            self.keys[layer][start..start + head_dim].convert_from_f32_slice(&key[part.clone()]);
            self.values[layer][start..start + head_dim].convert_from_f32_slice(&value[part]);
        }
    }

    /// Widens the first `n_tokens` of a block's keys and values of one head into the two buffers.
    pub(crate) fn widen(&self, place: Place, n_tokens: usize, keys: &mut [f32], values: &mut [f32]) {
        let start = self.head_start(place.block, place.head);
        let n = n_tokens * self.spec.head_dim;
        self.keys[place.layer][start..start + n].convert_to_f32_slice(&mut keys[..n]);
        self.values[place.layer][start..start + n].convert_to_f32_slice(&mut values[..n]);
    }

    const fn head_start(&self, block: BlockId, head: usize) -> usize {
        (block.index() * self.spec.n_kv_heads + head) * self.spec.shape.block_tokens * self.spec.head_dim
    }
}

/// One head's part of one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) layer: usize,
    pub(crate) block: BlockId,
    pub(crate) head: usize,
}
