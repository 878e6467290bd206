//! A layer: attention and the feed-forward part, with norms around them, and the way of the residual stream.

use alcazar_core::{Backend, BackendError, Batch, DecoderConfig, config::Residual};

use super::{Place, attention::Attention, feed_forward::FeedForward, norm::Norm};
use crate::{
    LoadError,
    adapter::{Adapted, Deltas, Part},
};

pub(super) struct Layer<B: Backend> {
    residual: Residual,
    /// Before attention, after it, before the feed-forward part, after it.
    norms: [Option<Norm<B>>; 4],
    attention: Attention<B>,
    feed_forward: FeedForward<B>,
}

impl<B: Backend> Layer<B> {
    pub(super) fn load(place: &Place<'_, B>, config: &DecoderConfig, nth: usize) -> Result<Self, LoadError> {
        let block = &config.block;
        let norm = |wanted: bool, name: &str| wanted.then(|| Norm::load(place, name, config.hidden, block)).transpose();
        let (before, after) = match block.residual {
            // Its norms have the names of those before.
            Residual::NormOfSum => (true, false),
            _ => (block.norm_before, block.norm_after),
        };
        let [attention_before, attention_after, feed_forward_before, feed_forward_after] = place.names.norms;
        let second = before && block.residual != Residual::ParallelShared;
        Ok(Self {
            residual: block.residual,
            norms: [
                norm(before, attention_before)?,
                norm(after, attention_after)?,
                norm(second, feed_forward_before)?,
                norm(after, feed_forward_after)?,
            ],
            attention: Attention::load(place, config, nth)?,
            feed_forward: FeedForward::load(place, config)?,
        })
    }

    /// Keys and values go where other layers' go: for a pass after which nothing is computed.
    pub(super) const fn share_cache(&mut self) {
        self.attention.share_cache();
    }

    /// What adapters add to a part; `None`: the layer has no such matrix.
    pub(super) fn deltas(&mut self, part: Part) -> Option<&mut Deltas<B>> {
        self.attention.deltas(part).or_else(|| self.feed_forward.deltas(part))
    }

    /// Attention's heads, one after the other, before its last matrix.
    ///
    /// # Shapes
    /// - x (the residual stream): `[rows, hidden]`; output: `[rows, n_heads · head_dim]`
    pub(super) fn attend(
        &self,
        backend: &B,
        x: &B::Tensor,
        angles: &[Option<B::Angles>; 2],
        adapted: &Adapted<'_, B>,
        stored: (&Batch, &mut B::Cache),
    ) -> Result<B::Tensor, BackendError> {
        match &self.norms[0] {
            Some(norm) if self.residual != Residual::NormOfSum => {
                self.attention.attend(backend, &norm.apply(backend, x)?, angles, adapted, stored)
            }
            _ => self.attention.attend(backend, x, angles, adapted, stored),
        }
    }

    /// # Shapes
    /// - x (the residual stream) and output: `[rows, hidden]`; attended: `[rows, n_heads · head_dim]`
    pub(super) fn finish(
        &self,
        backend: &B,
        x: B::Tensor,
        attended: &B::Tensor,
        adapted: &Adapted<'_, B>,
    ) -> Result<B::Tensor, BackendError> {
        let [first, attention_after, second, feed_forward_after] = self.norms.each_ref().map(Option::as_ref);
        let attended = normed(backend, attention_after, self.attention.finish(backend, attended, adapted)?)?;
        let feed_forward = |x: &B::Tensor, norm: Option<&Norm<B>>| {
            let result = match norm {
                Some(norm) => self.feed_forward.apply(backend, &norm.apply(backend, x)?, adapted)?,
                None => self.feed_forward.apply(backend, x, adapted)?,
            };
            normed(backend, feed_forward_after, result)
        };
        match self.residual {
            Residual::Sequential => {
                let x = backend.add(x, &attended)?;
                let result = feed_forward(&x, second)?;
                backend.add(x, &result)
            }
            Residual::Parallel | Residual::ParallelShared => {
                let result = feed_forward(&x, second.or(first))?;
                backend.add(backend.add(x, &attended)?, &result)
            }
            Residual::NormOfSum => {
                let x = normed(backend, first, backend.add(x, &attended)?)?;
                let result = feed_forward(&x, None)?;
                normed(backend, second, backend.add(x, &result)?)
            }
        }
    }
}

fn normed<B: Backend>(backend: &B, norm: Option<&Norm<B>>, x: B::Tensor) -> Result<B::Tensor, BackendError> {
    match norm {
        Some(norm) => norm.apply(backend, &x),
        None => Ok(x),
    }
}
