//! A matrix with threads of its own, for the benchmark of the products.

use std::num::NonZeroUsize;

use alcazar_core::{BackendError, RawTensor};

use super::Matrix;
use crate::pool::Pool;

/// A matrix and the threads that multiply it.
pub struct Measured {
    matrix: Matrix,
    pool: Pool,
}

impl Measured {
    /// Takes a matrix over.
    pub fn new(raw: &RawTensor<'_>, n_threads: NonZeroUsize) -> Result<Self, BackendError> {
        let pool = Pool::new(n_threads);
        Ok(Self { matrix: Matrix::new(raw, &pool)?, pool })
    }

    /// `x · wᵀ`, see [`Matrix`].
    pub fn multiply(&self, x: &[f32], n_rows: usize, out: &mut [f32]) {
        self.matrix.multiply(x, n_rows, out, &self.pool);
    }

    /// Bytes of the matrix in memory.
    pub fn memory_bytes(&self) -> usize {
        self.matrix.memory_bytes()
    }
}
