//! Weights on the device.

use std::borrow::Cow;

use alcazar_core::{BackendError, RawTensor, WeightType};
use alcazar_formats::gguf::Packing;
use candle_core::{
    Device, Module as _, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};

use crate::backend::device_error;

#[cfg(test)]
mod tests;

/// A weight matrix, quantised or not.
#[derive(Debug)]
pub struct Matrix {
    product: QMatMul,
    pub(crate) n_out: usize,
}

/// A gain or a bias, f32.
#[derive(Debug)]
pub struct Vector {
    pub(crate) tensor: Tensor,
}

impl Matrix {
    pub(crate) fn new(raw: &RawTensor<'_>, device: &Device) -> Result<Self, BackendError> {
        let &[n_out, _] = raw.shape.as_slice() else { return Err(wrong_shape(raw, "a matrix")) };
        check_length(raw)?;
        let product = to_device(raw, device).and_then(QMatMul::from_qtensor);
        Ok(Self { product: product.map_err(|error| device_error("load", &raw.name, error))?, n_out })
    }

    /// `x · wᵀ`.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]`
    pub(crate) fn multiply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.product.forward(x)
    }

    /// Some rows, as numbers: `[ids, in]`.
    pub(crate) fn lookup(&self, ids: &[u32], device: &Device) -> candle_core::Result<Tensor> {
        self.product.embedding(&Tensor::new(ids, device)?)
    }
}

impl Vector {
    pub(crate) fn new(raw: &RawTensor<'_>, device: &Device) -> Result<Self, BackendError> {
        let &[_] = raw.shape.as_slice() else { return Err(wrong_shape(raw, "a vector")) };
        let failed = |error| device_error("load", &raw.name, error);
        check_length(raw)?;
        let tensor = to_device(raw, &Device::Cpu).and_then(|tensor| tensor.dequantize(&Device::Cpu));
        Ok(Self { tensor: tensor.and_then(|tensor| tensor.to_device(device)).map_err(failed)? })
    }
}

fn wrong_shape(raw: &RawTensor<'_>, expected: &str) -> BackendError {
    BackendError::Shape {
        op: "load",
        found: format!("tensor {} of shape {:?}", raw.name, raw.shape),
        expected: expected.to_owned(),
    }
}

fn check_length(raw: &RawTensor<'_>) -> Result<(), BackendError> {
    let n_bytes = raw.weight_type.tensor_bytes(&raw.shape);
    if n_bytes == Some(raw.data.len() as u64) && !raw.data.is_empty() {
        return Ok(());
    }
    Err(wrong_shape(raw, &format!("{n_bytes:?} bytes, found {}", raw.data.len())))
}

fn to_device(raw: &RawTensor<'_>, device: &Device) -> candle_core::Result<QTensor> {
    if raw.weight_type == WeightType::MXFP4 {
        // Candle does not multiply it: the same numbers in a type that it does.
        let (weight_type, data) = Packing::MXFP4.unpack(&raw.data);
        return to_device(&RawTensor { weight_type, data: data.into(), ..raw.clone() }, device);
    }
    let Some(dtype) = dtype(raw.weight_type) else {
        candle_core::bail!("{} is not a type that is computed with", raw.weight_type)
    };
    QTensor::new(QStorage::from_data(aligned(&raw.data), device, dtype)?, raw.shape.as_slice())
}

/// Candle reads the bytes as blocks, the strictest of which are f32.
fn aligned(data: &[u8]) -> Cow<'_, [u8]> {
    if data.as_ptr().align_offset(align_of::<f32>()) == 0 {
        return Cow::Borrowed(data);
    }
    // A fresh allocation of more than a few bytes is aligned for every basic type.
    Cow::Owned(data.to_vec())
}

const fn dtype(weight_type: WeightType) -> Option<GgmlDType> {
    Some(match weight_type {
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
        WeightType::MXFP4 | WeightType::U8 => return None,
    })
}
