//! Keys and values in blocks.

use alcazar_core::{BackendError, BlockId, CacheShape, Sequence, backend::CacheSpec};

use crate::{element::Element, tensor::misfit};

/// What keys and values are kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePrecision {
    /// 16-bit floats: half the memory, and what serves.
    F16,
    /// 32-bit floats: nothing is rounded.
    F32,
}

/// Keys and values of all layers.
#[derive(Debug)]
pub struct Cache(pub(crate) Stored);

#[derive(Debug)]
pub(crate) enum Stored {
    F16(Blocks<u16>),
    F32(Blocks<f32>),
}

/// Layout of keys and of values: `[layer][block][kv head][token][head_dim]`, so that a head's block is one stretch.
#[derive(Debug)]
pub(crate) struct Blocks<E> {
    keys: Vec<E>,
    values: Vec<E>,
    spec: CacheSpec,
}

impl CachePrecision {
    /// Of an element.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

impl Cache {
    pub(crate) fn new(spec: &CacheSpec, precision: CachePrecision) -> Result<Self, BackendError> {
        Ok(Self(match precision {
            CachePrecision::F16 => Stored::F16(Blocks::new(spec)?),
            CachePrecision::F32 => Stored::F32(Blocks::new(spec)?),
        }))
    }
}

impl<E: Element> Blocks<E> {
    fn new(spec: &CacheSpec) -> Result<Self, BackendError> {
        let sizes = [spec.shape.n_tokens(), spec.n_layers, spec.n_kv_heads, spec.head_dim];
        let Some(size) = sizes.iter().try_fold(1usize, |product, n| product.checked_mul(*n)) else {
            return Err(misfit("cache", format!("{spec:?}"), "a size that fits the memory".to_owned()));
        };
        Ok(Self { keys: vec![E::default(); size], values: vec![E::default(); size], spec: *spec })
    }

    pub(crate) const fn shape(&self) -> CacheShape {
        self.spec.shape
    }

    /// Fails unless the layer is there and has these heads.
    pub(crate) fn check(&self, layer: usize, n_kv_heads: usize, head_dim: usize) -> Result<(), BackendError> {
        let CacheSpec { n_layers, n_kv_heads: heads, head_dim: dim, .. } = self.spec;
        if layer < n_layers && n_kv_heads == heads && head_dim == dim {
            return Ok(());
        }
        let found = format!("layer {layer} with {n_kv_heads} heads of {head_dim}");
        Err(misfit("attention", found, format!("one of {n_layers} layers with {heads} heads of {dim}")))
    }

    fn offset(&self, layer: usize, block: BlockId, kv_head: usize) -> usize {
        let head_block = self.spec.shape.block_tokens * self.spec.head_dim;
        ((layer * self.spec.shape.n_blocks + block.index()) * self.spec.n_kv_heads + kv_head) * head_block
    }

    /// Keys and values of one head in one block: `[block_tokens · head_dim]`.
    pub(crate) fn block(&self, layer: usize, block: BlockId, kv_head: usize) -> Option<(&[E], &[E])> {
        let at = self.offset(layer, block, kv_head);
        let range = at..at + self.spec.shape.block_tokens * self.spec.head_dim;
        Some((self.keys.get(range.clone())?, self.values.get(range)?))
    }

    /// Stores a sequence's rows; `keys` and `values` are `[n_tokens, n_kv_heads · head_dim]`.
    pub(crate) fn store(
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
            for (head, (key, value)) in keys.chunks_exact(head_dim).zip(values.chunks_exact(head_dim)).enumerate() {
                let place = block.and_then(|block| {
                    let at = self.offset(layer, block, head) + position % block_tokens * head_dim;
                    Some((self.keys.get_mut(at..at + head_dim)?, self.values.get_mut(at..at + head_dim)?))
                });
                let Some((to_keys, to_values)) = place else {
                    let found = format!("position {position} of {} in layer {layer}", sequence.id);
                    return Err(misfit("attention", found, format!("a place in {:?}", self.spec)));
                };
                E::narrow(key, to_keys);
                E::narrow(value, to_values);
            }
        }
        Ok(())
    }
}
