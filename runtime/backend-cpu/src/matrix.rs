//! Weights as plain numbers.

use alcazar_core::{BackendError, RawTensor, WeightType};
use alcazar_formats::gguf::Packing;
use half::f16;

use crate::{pool::Pool, simd, tensor::misfit};

/// `[out, in]`.
#[derive(Debug)]
pub struct Matrix {
    values: Vec<f32>,
    n_out: usize,
    n_in: usize,
}

impl Matrix {
    /// Takes a matrix over.
    pub fn new(raw: &RawTensor<'_>, _pool: &Pool) -> Result<Self, BackendError> {
        let wrong = || misfit("load", format!("tensor {} of {:?}", raw.name, raw.shape), "a matrix".to_owned());
        let &[n_out, n_in] = raw.shape.as_slice() else { return Err(wrong()) };
        let values = match raw.weight_type {
            WeightType::Q8_0 => q8_0(&raw.data),
            WeightType::MXFP4 => q8_0(&Packing::MXFP4.unpack(&raw.data).1),
            _ => raw.to_f32().map_err(|_| wrong())?,
        };
        if values.len() != n_out * n_in {
            return Err(wrong());
        }
        Ok(Self { values, n_out, n_in })
    }

    /// Outputs.
    pub const fn n_out(&self) -> usize {
        self.n_out
    }

    /// Inputs.
    pub const fn n_in(&self) -> usize {
        self.n_in
    }

    /// Row `nth`; false if there is none.
    pub fn row(&self, nth: usize, out: &mut [f32]) -> bool {
        let row = self.values.get(nth * self.n_in..(nth + 1) * self.n_in);
        row.is_some_and(|row| {
            out.copy_from_slice(row);
            true
        })
    }

    /// `x · wᵀ`.
    pub fn multiply(&self, x: &[f32], _n_rows: usize, out: &mut [f32], _pool: &Pool) {
        for (x, out) in x.chunks_exact(self.n_in).zip(out.chunks_exact_mut(self.n_out)) {
            for (w, out) in self.values.chunks_exact(self.n_in).zip(out) {
                *out = simd::dot::<false>(x, w);
            }
        }
    }
}

/// 32 numbers and their factor in 34 bytes: `block_q8_0` in ggml-common.h.
fn q8_0(data: &[u8]) -> Vec<f32> {
    let (blocks, _) = data.as_chunks::<34>();
    let numbers = |[low, high, numbers @ ..]: &[u8; 34]| {
        let factor = f16::from_le_bytes([*low, *high]).to_f32();
        numbers.map(|number| factor * f32::from(number.cast_signed()))
    };
    blocks.iter().flat_map(numbers).collect()
}

/// Memory of a matrix.
pub fn memory_bytes(_weight_type: WeightType, shape: [usize; 2]) -> u64 {
    4 * (shape[0] * shape[1]) as u64
}

/// Several products of the same rows.
pub fn multiply_each<const N: usize>(
    matrices: [&Matrix; N],
    x: &[f32],
    n_rows: usize,
    outs: [&mut [f32]; N],
    pool: &Pool,
) {
    for (matrix, out) in matrices.into_iter().zip(outs) {
        matrix.multiply(x, n_rows, out, pool);
    }
}
