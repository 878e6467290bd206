//! Weights on the device.

use std::borrow::Cow;

use alcazar_core::{BackendError, RawTensor, WeightType};
use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};

use crate::backend::device_error;

/// A weight matrix, quantised or not.
#[derive(Debug)]
pub struct Matrix {
    pub(crate) product: QMatMul,
    pub(crate) n_out: usize,
    pub(crate) n_in: usize,
}

/// A gain or a bias.
#[derive(Debug)]
pub struct Vector {
    pub(crate) tensor: Tensor,
    /// The same in host memory.
    pub(crate) values: Vec<f32>,
}

impl Matrix {
    pub(crate) fn new(raw: &RawTensor<'_>, device: &Device) -> Result<Self, BackendError> {
        let &[n_out, n_in] = raw.shape.as_slice() else { return Err(wrong_shape(raw, "a matrix")) };
        let tensor = to_device(raw, device)?;
        let product = QMatMul::from_qtensor(tensor).map_err(|error| device_error("load", &raw.name, error))?;
        Ok(Self { product, n_out, n_in })
    }
}

impl Vector {
    pub(crate) fn new(raw: &RawTensor<'_>, device: &Device) -> Result<Self, BackendError> {
        let &[_] = raw.shape.as_slice() else { return Err(wrong_shape(raw, "a vector")) };
        let failed = |error| device_error("load", &raw.name, error);
        let tensor = to_device(raw, &Device::Cpu)?.dequantize(&Device::Cpu).map_err(failed)?;
        let values = tensor.to_vec1::<f32>().map_err(failed)?;
        let tensor = tensor.to_device(device).map_err(failed)?;
        Ok(Self { tensor, values })
    }
}

fn wrong_shape(raw: &RawTensor<'_>, expected: &str) -> BackendError {
    BackendError::Shape {
        op: "load",
        found: format!("tensor {} of shape {:?}", raw.name, raw.shape),
        expected: expected.to_owned(),
    }
}

fn to_device(raw: &RawTensor<'_>, device: &Device) -> Result<QTensor, BackendError> {
    let n_bytes = raw.weight_type.tensor_bytes(&raw.shape);
    if n_bytes != Some(raw.data.len() as u64) {
        return Err(wrong_shape(raw, &format!("{n_bytes:?} bytes, found {}", raw.data.len())));
    }
    let storage = QStorage::from_data(aligned(&raw.data), device, dtype(raw.weight_type));
    storage
        .and_then(|storage| QTensor::new(storage, raw.shape.as_slice()))
        .map_err(|error| device_error("load", &raw.name, error))
}

/// Candle reads the bytes as blocks, the strictest of which are f32.
fn aligned(data: &[u8]) -> Cow<'_, [u8]> {
    if data.as_ptr().align_offset(align_of::<f32>()) == 0 {
        return Cow::Borrowed(data);
    }
    // A fresh allocation of more than a few bytes is aligned for every basic type.
    Cow::Owned(data.to_vec())
}

const fn dtype(weight_type: WeightType) -> GgmlDType {
    match weight_type {
        WeightType::F32 => GgmlDType::F32,
        WeightType::F16 => GgmlDType::F16,
        WeightType::BF16 => GgmlDType::BF16,
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
    }
}
