//! Takes tensors over by name, and only those of the right shape.

use alcazar_core::{Backend, BackendError, RawTensor, WeightSource};

use crate::{
    LoadError,
    adapter::{Adapted, Deltas},
};

pub(crate) struct Loader<'a, B> {
    pub(crate) backend: &'a B,
    pub(crate) source: &'a dyn WeightSource,
}

/// `x · wᵀ (+ bias)`.
pub(crate) struct Linear<B: Backend> {
    weight: B::Matrix,
    bias: Option<B::Vector>,
    n_out: usize,
    pub(crate) deltas: Deltas<B>,
}

/// The same before the device has it.
pub(crate) struct RawLinear<'a> {
    pub(crate) weight: RawTensor<'a>,
    pub(crate) bias: Option<RawTensor<'a>>,
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

    /// The same of a tensor that not all files have.
    pub(crate) fn raw_if_there(&self, name: &str, shape: &[usize]) -> Result<Option<RawTensor<'_>>, LoadError> {
        self.has(name).then(|| self.raw(name, shape)).transpose()
    }

    pub(crate) fn put_matrix(&self, raw: &RawTensor<'_>) -> Result<B::Matrix, LoadError> {
        self.backend.matrix(raw).map_err(|source| LoadError::Device { name: raw.name.clone(), source })
    }

    pub(crate) fn put_vector(&self, raw: &RawTensor<'_>) -> Result<B::Vector, LoadError> {
        self.backend.vector(raw).map_err(|source| LoadError::Device { name: raw.name.clone(), source })
    }

    /// `name.weight` and, where the files have it, `name.bias`.
    pub(crate) fn raw_linear(&self, name: &str, shape: [usize; 2]) -> Result<RawLinear<'_>, LoadError> {
        let weight = self.raw(&format!("{name}.weight"), &shape)?;
        Ok(RawLinear { weight, bias: self.raw_if_there(&format!("{name}.bias"), &shape[..1])? })
    }

    /// The same where the file has the matrix as `[in, out]`; shape is `[out, in]` nevertheless.
    pub(crate) fn raw_transposed(&self, name: &str, [n_out, n_in]: [usize; 2]) -> Result<RawLinear<'_>, LoadError> {
        let weight = self.raw(&format!("{name}.weight"), &[n_in, n_out])?.transposed()?;
        Ok(RawLinear { weight, bias: self.raw_if_there(&format!("{name}.bias"), &[n_out])? })
    }

    pub(crate) fn linear(&self, name: &str, shape: [usize; 2]) -> Result<Linear<B>, LoadError> {
        self.put(&self.raw_linear(name, shape)?)
    }

    pub(crate) fn put(&self, raw: &RawLinear<'_>) -> Result<Linear<B>, LoadError> {
        let bias = raw.bias.as_ref().map(|bias| self.put_vector(bias)).transpose()?;
        let n_out = raw.weight.shape.first().copied().unwrap_or_default();
        Ok(Linear { weight: self.put_matrix(&raw.weight)?, bias, n_out, deltas: Deltas::default() })
    }
}

impl RawLinear<'_> {
    /// Some outputs.
    pub(crate) fn rows(&self, rows: impl Iterator<Item = usize> + Clone) -> Result<RawLinear<'static>, LoadError> {
        let bias = self.bias.as_ref().map(|bias| bias.rows(rows.clone())).transpose()?;
        Ok(RawLinear { weight: self.weight.rows(rows)?, bias })
    }
}

impl<B: Backend> Linear<B> {
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]`
    pub(crate) fn apply(&self, backend: &B, x: &B::Tensor) -> Result<B::Tensor, BackendError> {
        backend.linear(x, &self.weight, self.bias.as_ref())
    }

    /// Several at once.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]` for each
    pub(crate) fn apply_each<const N: usize>(
        linears: [&Self; N],
        backend: &B,
        x: &B::Tensor,
    ) -> Result<[B::Tensor; N], BackendError> {
        backend.linear_each(x, linears.map(|linear| (&linear.weight, linear.bias.as_ref())))
    }

    /// The same with what adapters add to it.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]`
    pub(crate) fn adapt(
        &self,
        backend: &B,
        x: &B::Tensor,
        adapted: &Adapted<'_, B>,
    ) -> Result<B::Tensor, BackendError> {
        self.adapted(backend, x, self.apply(backend, x)?, adapted)
    }

    /// What adapters make of `y`, the product of `x`.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; y and output: `[rows, out]`
    pub(crate) fn adapted(
        &self,
        backend: &B,
        x: &B::Tensor,
        y: B::Tensor,
        adapted: &Adapted<'_, B>,
    ) -> Result<B::Tensor, BackendError> {
        self.deltas.add(backend, x, y, adapted)
    }

    pub(crate) const fn n_out(&self) -> usize {
        self.n_out
    }
}
