//! Weights as candle holds them.

use alcazar_core::{BackendError, RawTensor, TokenId, WeightType};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};
use half::{bf16, f16};

use crate::error::failed;

/// A weight matrix: quantised as stored, or floats widened to f32 once at load.
pub enum Matrix {
    /// `[out, in]`.
    Quantised(QMatMul),
    /// `[out, in]`, f32.
    Dense(Tensor),
}

impl Matrix {
    /// Takes a matrix over to `device`.
    pub(crate) fn new(raw: &RawTensor<'_>, device: &Device) -> Result<Self, BackendError> {
        let Some(kind) = quantised(raw.weight_type) else {
            return dense(raw, device).map(Self::Dense);
        };
        let shape = raw.shape.clone();
        QStorage::from_data(raw.data.as_ref().into(), device, kind)
            .and_then(|storage| QTensor::new(storage, shape))
            .and_then(QMatMul::from_qtensor)
            .map(Self::Quantised)
            .map_err(failed("load matrix", &[]))
    }

    /// Rows of the matrix as a table: `[n_tokens, in]`.
    pub(crate) fn embedding(&self, tokens: &[TokenId], device: &Device) -> Result<Tensor, BackendError> {
        let ids: Vec<u32> = tokens.iter().map(|token| token.0).collect();
        let ids = Tensor::from_vec(ids, tokens.len(), device).map_err(failed("embedding", &[]))?;
        match self {
            Self::Quantised(matrix) => matrix.embedding(&ids),
            Self::Dense(table) => table.index_select(&ids, 0),
        }
        .map_err(failed("embedding", &[&ids]))
    }

    /// `x · wᵀ`.
    pub(crate) fn product(&self, x: &Tensor) -> Result<Tensor, BackendError> {
        match self {
            Self::Quantised(matrix) => candle_core::Module::forward(matrix, x),
            Self::Dense(matrix) => matrix.t().and_then(|transposed| x.matmul(&transposed)),
        }
        .map_err(failed("linear", &[x]))
    }
}

/// A tensor of f32 values.
pub(crate) fn dense(raw: &RawTensor<'_>, device: &Device) -> Result<Tensor, BackendError> {
    let values = floats(raw)?;
    Tensor::from_vec(values, raw.shape.clone(), device)
        .and_then(|tensor| tensor.to_dtype(DType::F32))
        .map_err(failed("load tensor", &[]))
}

fn floats(raw: &RawTensor<'_>) -> Result<Vec<f32>, BackendError> {
    let (halves, _) = raw.data.as_chunks::<2>();
    match raw.weight_type {
        WeightType::F32 => Ok(raw.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        WeightType::F16 => Ok(halves.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()),
        WeightType::BF16 => Ok(halves.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect()),
        other => Err(BackendError::Shape {
            op: "load vector",
            found: format!("{other}"),
            expected: "F32, F16 or BF16".to_owned(),
        }),
    }
}

const fn quantised(kind: WeightType) -> Option<GgmlDType> {
    Some(match kind {
        WeightType::F32 | WeightType::F16 | WeightType::BF16 => return None,
        WeightType::Q4_0 => GgmlDType::Q4_0,
        WeightType::Q4_1 => GgmlDType::Q4_1,
        WeightType::Q5_0 => GgmlDType::Q5_0,
        WeightType::Q5_1 => GgmlDType::Q5_1,
        WeightType::Q8_0 => GgmlDType::Q8_0,
        WeightType::Q2_K => GgmlDType::Q2K,
        WeightType::Q3_K => GgmlDType::Q3K,
        WeightType::Q4_K => GgmlDType::Q4K,
        WeightType::Q5_K => GgmlDType::Q5K,
        WeightType::Q6_K => GgmlDType::Q6K,
    })
}
