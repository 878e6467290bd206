//! Takes tensors over by name, and only those of the right shape.

use alcazar_core::{Backend, WeightSource, WeightType};

use crate::LoadError;

pub(crate) struct Loader<'a, B> {
    pub(crate) backend: &'a B,
    pub(crate) source: &'a dyn WeightSource,
}

impl<B: Backend> Loader<'_, B> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.source.describe(name).is_some()
    }

    pub(crate) fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<B::Matrix, LoadError> {
        self.check(name, &shape)?;
        let raw = self.source.read(name)?;
        self.backend.matrix(&raw).map_err(|source| LoadError::Device { name: name.to_owned(), source })
    }

    pub(crate) fn vector(&self, name: &str, width: usize) -> Result<B::Vector, LoadError> {
        self.check(name, &[width])?;
        let raw = self.source.read(name)?;
        self.backend.vector(&raw).map_err(|source| LoadError::Device { name: name.to_owned(), source })
    }

    /// Plain f32 numbers, for what a family computes with itself.
    pub(crate) fn floats(&self, name: &str, width: usize) -> Result<Vec<f32>, LoadError> {
        self.check(name, &[width])?;
        let raw = self.source.read(name)?;
        if raw.weight_type != WeightType::F32 {
            let message = format!("found {}, expected F32", raw.weight_type);
            return Err(alcazar_core::SourceError { name: name.to_owned(), message }.into());
        }
        let (numbers, _) = raw.data.as_chunks::<4>();
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// A tensor that is not there is left for `read` to name.
    fn check(&self, name: &str, expected: &[usize]) -> Result<(), LoadError> {
        match self.source.describe(name) {
            Some((_, found)) if found != expected => {
                Err(LoadError::Shape { name: name.to_owned(), found, expected: expected.to_owned() })
            }
            _ => Ok(()),
        }
    }
}
