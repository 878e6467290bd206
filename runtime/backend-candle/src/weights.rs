//! Weights on the device.

use std::borrow::Cow;

use alcazar_core::{BackendError, RawTensor, WeightType};
use candle_core::{
    Device, Module as _, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};

use crate::{
    backend::device_error,
    host::offsets::{self, Offsets},
    mxfp4,
    threads::pool,
};

#[cfg(test)]
mod tests;

/// Rows of a shard are a multiple of what kernels take together.
const SHARD_ROWS: usize = 16;
/// Shards for each thread: one that is held up leaves the rest of its share to the others. Not more, because candle
/// quantises the activations anew for every shard.
const SHARDS_PER_THREAD: usize = 2;

/// A weight matrix, quantised or not; on a CPU cut into stretches of rows, which the threads share.
#[derive(Debug)]
pub struct Matrix {
    shards: Vec<Shard>,
    /// Rows of each shard but the last.
    shard_rows: usize,
    pub(crate) n_out: usize,
    pub(crate) n_in: usize,
}

/// A stretch of rows.
#[derive(Debug)]
struct Shard {
    product: QMatMul,
    /// What the product lacks, where the rows are of another type than the file's.
    offsets: Option<Offsets>,
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
        check_length(raw)?;
        let shard_rows = match device {
            Device::Cpu => n_out.div_ceil(SHARDS_PER_THREAD * pool().n_threads()).next_multiple_of(SHARD_ROWS),
            _ => n_out,
        };
        let row_bytes = raw.data.len() / n_out.max(1);
        let shards = raw.data.chunks((shard_rows * row_bytes).max(1)).map(|data| {
            let shape = [data.len() / row_bytes.max(1), n_in];
            Shard::new(raw.weight_type, &shape, data, device).map_err(|error| device_error("load", &raw.name, error))
        });
        Ok(Self { shards: shards.collect::<Result<_, _>>()?, shard_rows, n_out, n_in })
    }

    /// `x · wᵀ`.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]`
    pub(crate) fn multiply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        // The same for all shards.
        let sums = match self.shards.first() {
            Some(Shard { offsets: Some(_), .. }) => offsets::block_sums(x)?,
            _ => Vec::new(),
        };
        if let [one] = self.shards.as_slice() {
            return one.multiply(x, &sums);
        }
        let parts = pool().map(self.shards.len(), |nth| match self.shards.get(nth) {
            Some(shard) => shard.multiply(x, &sums),
            None => candle_core::bail!("there is no shard {nth}"),
        });
        Tensor::cat(&parts.into_iter().collect::<candle_core::Result<Vec<_>>>()?, 1)
    }

    /// Some rows, as numbers: `[ids, in]`.
    pub(crate) fn lookup(&self, ids: &[u32], device: &Device) -> candle_core::Result<Tensor> {
        if let [Shard { product, offsets: None }] = self.shards.as_slice() {
            return product.embedding(&Tensor::new(ids, device)?);
        }
        let rows = ids.iter().map(|id| {
            let at = *id as usize;
            let Some(shard) = self.shards.get(at / self.shard_rows) else {
                candle_core::bail!("there is no row {id} of {}", self.n_out)
            };
            shard.row(at % self.shard_rows, device)
        });
        Tensor::cat(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)
    }
}

impl Shard {
    fn new(weight_type: WeightType, shape: &[usize; 2], data: &[u8], device: &Device) -> candle_core::Result<Self> {
        let (tensor, offsets) = match (weight_type, device) {
            (WeightType::Q4_1, Device::Cpu) => {
                let (data, offsets) = offsets::split(data, shape[1]);
                (to_device(WeightType::Q4_0, shape, &data, device)?, Some(offsets))
            }
            (WeightType::MXFP4, _) => (to_device(WeightType::Q8_0, shape, &mxfp4::to_q8_0(data)?, device)?, None),
            _ => (to_device(weight_type, shape, data, device)?, None),
        };
        Ok(Self { product: QMatMul::from_qtensor(tensor)?, offsets })
    }

    /// `x · wᵀ`; `sums` are those of the blocks of `x` where there are offsets.
    fn multiply(&self, x: &Tensor, sums: &[f32]) -> candle_core::Result<Tensor> {
        let y = self.product.forward(x)?;
        match &self.offsets {
            Some(offsets) => offsets.add_products(&y, sums),
            None => Ok(y),
        }
    }

    /// Row `nth` as numbers: `[1, in]`.
    fn row(&self, nth: usize, device: &Device) -> candle_core::Result<Tensor> {
        let row = self.product.embedding(&Tensor::new(&[u32::try_from(nth)?], device)?)?;
        match &self.offsets {
            Some(offsets) => offsets.add_row(&row, nth),
            None => Ok(row),
        }
    }
}

impl Vector {
    pub(crate) fn new(raw: &RawTensor<'_>, device: &Device) -> Result<Self, BackendError> {
        let &[_] = raw.shape.as_slice() else { return Err(wrong_shape(raw, "a vector")) };
        let failed = |error| device_error("load", &raw.name, error);
        check_length(raw)?;
        let tensor = to_device(raw.weight_type, &raw.shape, &raw.data, &Device::Cpu).map_err(failed)?;
        let tensor = tensor.dequantize(&Device::Cpu).map_err(failed)?;
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

fn check_length(raw: &RawTensor<'_>) -> Result<(), BackendError> {
    let n_bytes = raw.weight_type.tensor_bytes(&raw.shape);
    if n_bytes == Some(raw.data.len() as u64) && !raw.data.is_empty() {
        return Ok(());
    }
    Err(wrong_shape(raw, &format!("{n_bytes:?} bytes, found {}", raw.data.len())))
}

fn to_device(weight_type: WeightType, shape: &[usize], data: &[u8], device: &Device) -> candle_core::Result<QTensor> {
    let Some(dtype) = dtype(weight_type) else {
        candle_core::bail!("{weight_type} is not a type that is computed with")
    };
    QTensor::new(QStorage::from_data(aligned(data), device, dtype)?, shape)
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
