//! Takes tensors over by name, and only those of the right shape.

use alcazar_core::{Backend, BackendError, RawTensor, WeightSource};

use crate::LoadError;

pub(crate) struct Loader<'a, B> {
    pub(crate) backend: &'a B,
    pub(crate) source: &'a dyn WeightSource,
}

/// `x · wᵀ (+ bias)`.
pub(crate) struct Linear<B: Backend> {
    weight: B::Matrix,
    bias: Option<B::Vector>,
}

impl<B: Backend> Loader<'_, B> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.source.describe(name).is_some()
    }

    pub(crate) fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<B::Matrix, LoadError> {
        self.put_matrix(&self.raw(name, &shape)?)
    }

    pub(crate) fn vector(&self, name: &str, width: usize) -> Result<B::Vector, LoadError> {
        self.put_vector(&self.raw(name, &[width])?)
    }

    /// Plain numbers, for what a family computes with itself.
    pub(crate) fn floats(&self, name: &str, width: usize) -> Result<Vec<f32>, LoadError> {
        Ok(self.raw(name, &[width])?.to_f32()?)
    }

    /// The bytes, to take parts of: rows of fused matrices, entries of stacked ones.
    pub(crate) fn raw(&self, name: &str, shape: &[usize]) -> Result<RawTensor<'_>, LoadError> {
        match self.source.describe(name) {
            Some((_, found)) if found != shape => {
                Err(LoadError::Shape { name: name.to_owned(), found, expected: shape.to_owned() })
            }
            // A tensor that is not there is left for `read` to name.
            _ => Ok(self.source.read(name)?),
        }
    }

    pub(crate) fn put_matrix(&self, raw: &RawTensor<'_>) -> Result<B::Matrix, LoadError> {
        self.backend.matrix(raw).map_err(|source| LoadError::Device { name: raw.name.clone(), source })
    }

    pub(crate) fn put_vector(&self, raw: &RawTensor<'_>) -> Result<B::Vector, LoadError> {
        self.backend.vector(raw).map_err(|source| LoadError::Device { name: raw.name.clone(), source })
    }

    /// `name.weight` and, where the files have it, `name.bias`.
    pub(crate) fn linear(&self, name: &str, [n_out, n_in]: [usize; 2]) -> Result<Linear<B>, LoadError> {
        let weight = self.matrix(&format!("{name}.weight"), [n_out, n_in])?;
        let bias = format!("{name}.bias");
        let bias = self.has(&bias).then(|| self.vector(&bias, n_out)).transpose()?;
        Ok(Linear { weight, bias })
    }
}

impl<B: Backend> Linear<B> {
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]`
    pub(crate) fn apply(&self, backend: &B, x: &B::Tensor) -> Result<B::Tensor, BackendError> {
        backend.linear(x, &self.weight, self.bias.as_ref())
    }
}
