//! Activations, gains and biases in host memory.

use alcazar_core::{BackendError, RawTensor};

use crate::{matrix::Matrix, pool::Pool};

/// Activations: `[rows, width]`, one row after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub(crate) values: Vec<f32>,
    pub(crate) width: usize,
}

/// A gain or a bias: `[width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    pub(crate) values: Vec<f32>,
}

impl Tensor {
    /// Rows of zeros.
    pub(crate) fn zeros(n_rows: usize, width: usize) -> Self {
        Self { values: vec![0.0; n_rows * width], width }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Rows and width.
    pub(crate) fn dims(&self) -> [usize; 2] {
        [self.n_rows(), self.width]
    }

    /// Fails unless rows are that wide.
    pub(crate) fn check_width(&self, op: &'static str, expected: usize) -> Result<(), BackendError> {
        if self.width == expected && expected > 0 {
            return Ok(());
        }
        Err(misfit(op, format!("{:?}", self.dims()), format!("rows of {expected}")))
    }

    /// Fails unless the other has the same shape.
    pub(crate) fn check_same(&self, op: &'static str, other: &Self) -> Result<(), BackendError> {
        if self.dims() == other.dims() {
            return Ok(());
        }
        Err(misfit(op, format!("{:?} and {:?}", self.dims(), other.dims()), "equal shapes".to_owned()))
    }
}

impl Vector {
    pub(crate) fn new(raw: &RawTensor<'_>, pool: &Pool) -> Result<Self, BackendError> {
        let n_bytes = raw.weight_type.tensor_bytes(&raw.shape);
        let &[width] = raw.shape.as_slice() else { return Err(no_vector(raw)) };
        if width == 0 || n_bytes != Some(raw.data.len() as u64) {
            return Err(no_vector(raw));
        }
        if raw.weight_type.block_elements() == 1 {
            return raw.to_f32().map(|values| Self { values }).map_err(|_| no_vector(raw));
        }
        // A matrix of one row knows how to read it.
        let matrix = Matrix::new(&RawTensor { shape: vec![1, width], ..raw.clone() }, pool)?;
        let mut values = vec![0.0; width];
        if matrix.row(0, &mut values) { Ok(Self { values }) } else { Err(no_vector(raw)) }
    }
}

pub(crate) const fn misfit(op: &'static str, found: String, expected: String) -> BackendError {
    BackendError::Shape { op, found, expected }
}

fn no_vector(raw: &RawTensor<'_>) -> BackendError {
    let RawTensor { name, weight_type, shape, data } = raw;
    let found = format!("tensor {name} of {weight_type}, shape {shape:?}, {} bytes", data.len());
    misfit("load", found, "a vector of numbers".to_owned())
}
