//! Norms of both kinds.

use alcazar_core::{
    Backend, BackendError, RawTensor,
    config::{BlockConfig, NormKind},
};

use super::Place;
use crate::LoadError;

pub(crate) struct Norm<B: Backend> {
    kind: NormKind,
    gain: B::Vector,
    bias: Option<B::Vector>,
    epsilon: f32,
}

impl<B: Backend> Norm<B> {
    pub(crate) fn load(place: &Place<'_, B>, name: &str, width: usize, block: &BlockConfig) -> Result<Self, LoadError> {
        let (loader, name) = (place.loader, place.name(name));
        let mut gain = loader.raw(&format!("{name}.weight"), &[width])?;
        if block.gain_offset != 0.0 {
            let gains: Vec<f32> = gain.to_f32()?.iter().map(|gain| gain + block.gain_offset).collect();
            gain = RawTensor::from_f32(&gain.name, &[width], &gains);
        }
        let bias = match block.norm {
            NormKind::Rms => None,
            NormKind::Layer => loader.raw_if_there(&format!("{name}.bias"), &[width])?,
        };
        Ok(Self {
            kind: block.norm,
            gain: loader.put_vector(&gain)?,
            bias: bias.map(|bias| loader.put_vector(&bias)).transpose()?,
            epsilon: block.norm_epsilon,
        })
    }

    /// # Shapes
    /// - x and output: `[rows, width]`; RMS norms take several pieces of the width side by side
    pub(crate) fn apply(&self, backend: &B, x: &B::Tensor) -> Result<B::Tensor, BackendError> {
        match self.kind {
            NormKind::Rms => backend.rms_norm(x, &self.gain, self.epsilon),
            NormKind::Layer => backend.layer_norm(x, &self.gain, self.bias.as_ref(), self.epsilon),
        }
    }
}
