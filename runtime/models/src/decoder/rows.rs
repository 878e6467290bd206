//! A decoder without scores and without a memory: the last layer's rows of whole texts.

use alcazar_core::{Backend, BackendError, Batch, CacheShape, DecoderConfig, backend::CacheSpec, config::RopeTable};

use super::{Input, Output, layer::Layer, parts, ropes};
use crate::{LoadError, adapter::Adapted, weights::Loader};

/// Tokens of a block of the scratch cache.
pub(crate) const BLOCK_TOKENS: usize = 16;

pub(crate) struct Rows<B: Backend> {
    input: Input<B>,
    ropes: [Option<RopeTable>; 2],
    layers: Vec<Layer<B>>,
    output: Output<B>,
    n_kv_heads: usize,
    head_dim: usize,
}

impl<B: Backend> Rows<B> {
    pub(crate) fn load(loader: &Loader<'_, B>, config: &DecoderConfig) -> Result<Self, LoadError> {
        let (input, output, mut layers) = parts(loader, config)?;
        // Nothing is computed after the pass, so all layers write their keys and values to the same place, in turns.
        layers.iter_mut().for_each(Layer::share_cache);
        let ropes = ropes(loader, config)?;
        Ok(Self { input, ropes, layers, output, n_kv_heads: config.n_kv_heads, head_dim: config.head_dim })
    }

    /// The table of tokens.
    pub(crate) const fn table(&self) -> &B::Matrix {
        &self.input.table
    }

    /// Blocks of the batch's sequences count from 0 on and are used once.
    ///
    /// # Shapes
    /// - output: `[rows, hidden]`
    pub(crate) fn of(&self, backend: &B, batch: &Batch) -> Result<B::Tensor, BackendError> {
        let n_blocks = batch.sequences.iter().map(|sequence| sequence.blocks.len()).sum();
        let mut cache = backend.cache(&CacheSpec {
            n_layers: 1,
            n_kv_heads: self.n_kv_heads,
            head_dim: self.head_dim,
            shape: CacheShape { n_blocks, block_tokens: BLOCK_TOKENS },
        })?;
        let positions = batch.positions();
        let [global, local] = self.ropes.each_ref().map(|rope| {
            let rope = rope.as_ref()?;
            Some(backend.angles(&positions, &rope.frequencies, rope.magnitude))
        });
        let angles = [global.transpose()?, local.transpose()?];
        let adapted = Adapted::of(batch, &[]);
        let mut x = self.input.apply(backend, batch)?;
        for layer in &self.layers {
            let attended = layer.attend(backend, &x, &angles, &adapted, (batch, &mut cache))?;
            x = layer.finish(backend, x, &attended, &adapted)?;
        }
        self.output.rows(backend, x)
    }
}
