//! The backend: hands the operations on, and turns candle's errors into the runtime's.

use alcazar_core::{
    Activation, AttentionSpec, Backend, BackendError, Batch, DecoderConfig, Gating, PackedAttention, RawTensor,
    RopeStyle, WeightType,
    backend::{CacheSpec, HostAngles},
};
use candle_core::{DType, Device, Tensor};

use crate::{
    attention::{self, Cache},
    operations, packed,
    weights::{Matrix, Vector},
};

/// Candle on one device.
#[derive(Clone, Debug)]
pub struct CandleBackend {
    device: Device,
}

impl CandleBackend {
    /// On the CPU: the reference.
    pub const fn cpu() -> Self {
        Self { device: Device::Cpu }
    }

    /// On a GPU when there is one and this build can use it.
    pub fn gpu() -> Result<Option<Self>, BackendError> {
        let device = Device::cuda_if_available(0).map_err(|error| device_error("open", "the device", error))?;
        Ok((!device.is_cpu()).then_some(Self { device }))
    }

    /// What people call the device.
    pub const fn device_name(&self) -> &'static str {
        match self.device {
            Device::Cpu => "CPU",
            Device::Cuda(_) => "CUDA",
            Device::Metal(_) => "Metal",
        }
    }

    /// Memory that weights take which are so many bytes in the file: 16-bit floats are widened to f32, and MXFP4 becomes
    /// Q8_0.
    pub const fn memory_bytes(weight_type: WeightType, file_bytes: u64) -> u64 {
        match weight_type {
            WeightType::F16 | WeightType::BF16 | WeightType::MXFP4 => file_bytes.saturating_mul(2),
            _ => file_bytes,
        }
    }

    /// Memory that a token's keys and values take.
    pub fn cache_bytes_per_token(&self, config: &DecoderConfig) -> u64 {
        (2 * config.n_layers() * config.kv_width() * size_of::<f32>()) as u64
    }
}

pub(crate) fn device_error(
    op: &'static str,
    shapes: impl std::fmt::Display,
    error: candle_core::Error,
) -> BackendError {
    BackendError::Device { op, shapes: shapes.to_string(), source: Box::new(error) }
}

/// Says which operation failed, and on what.
trait OnDevice<T> {
    fn on(self, op: &'static str, operands: &[&Tensor]) -> Result<T, BackendError>;
}

impl<T> OnDevice<T> for candle_core::Result<T> {
    fn on(self, op: &'static str, operands: &[&Tensor]) -> Result<T, BackendError> {
        self.map_err(|error| {
            let shapes: Vec<String> = operands.iter().map(|tensor| format!("{:?}", tensor.dims())).collect();
            device_error(op, shapes.join(" and "), error)
        })
    }
}

fn numbers(rows: &[usize]) -> Vec<u32> {
    rows.iter().map(|row| u32::try_from(*row).unwrap_or(u32::MAX)).collect()
}

impl Backend for CandleBackend {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Vector = Vector;
    type Angles = HostAngles;
    type Cache = Cache;

    fn matrix(&self, raw: &RawTensor<'_>) -> Result<Matrix, BackendError> {
        Matrix::new(raw, &self.device)
    }

    fn vector(&self, raw: &RawTensor<'_>) -> Result<Vector, BackendError> {
        Vector::new(raw, &self.device)
    }

    fn cache(&self, spec: &CacheSpec) -> Result<Cache, BackendError> {
        Cache::new(spec, &self.device).map_err(|error| device_error("cache", format!("{spec:?}"), error))
    }

    fn embedding(&self, table: &Matrix, ids: &[u32]) -> Result<Tensor, BackendError> {
        table
            .lookup(ids, &self.device)
            .map_err(|error| device_error("embedding", format!("{} rows of {}", ids.len(), table.n_out), error))
    }

    fn linear(&self, x: &Tensor, w: &Matrix, bias: Option<&Vector>) -> Result<Tensor, BackendError> {
        let y = w.multiply(x).on("linear", &[x])?;
        match bias {
            None => Ok(y),
            Some(bias) => y.broadcast_add(&bias.tensor).on("bias", &[&y]),
        }
    }

    fn layer_norm(&self, x: &Tensor, gain: &Vector, bias: Option<&Vector>, eps: f32) -> Result<Tensor, BackendError> {
        operations::layer_norm(x, &gain.tensor, bias.map(|bias| &bias.tensor), eps).on("layer_norm", &[x])
    }

    fn rms_norm(&self, x: &Tensor, gain: &Vector, eps: f32) -> Result<Tensor, BackendError> {
        operations::rms_norm(x, &gain.tensor, eps).on("rms_norm", &[x])
    }

    fn angles(&self, positions: &[u32], frequencies: &[f32], magnitude: f32) -> Result<HostAngles, BackendError> {
        Ok(HostAngles::new(positions, frequencies, magnitude))
    }

    fn rope(&self, x: Tensor, angles: &HostAngles, head_dim: usize, style: RopeStyle) -> Result<Tensor, BackendError> {
        operations::rope(&x, angles, head_dim, style).on("rope", &[&x])
    }

    fn attention(
        &self,
        [q, k, v]: [&Tensor; 3],
        cache: &mut Cache,
        spec: &AttentionSpec<'_>,
        batch: &Batch,
    ) -> Result<Tensor, BackendError> {
        attention::attention([q, k, v], cache, spec, batch).on("attention", &[q, k, v])
    }

    fn packed_attention(&self, qkv: [&Tensor; 3], spec: &PackedAttention<'_, Tensor>) -> Result<Tensor, BackendError> {
        spec.check(qkv, |x| x.dims2().map_or([0, 0], |(rows, width)| [rows, width]))?;
        packed::packed_attention(qkv, spec).on("packed_attention", &qkv)
    }

    fn activate(&self, x: Tensor, activation: Activation) -> Result<Tensor, BackendError> {
        operations::activate(&x, activation).on("activate", &[&x])
    }

    fn gate(&self, gate: Tensor, up: &Tensor, gating: Gating) -> Result<Tensor, BackendError> {
        operations::gate(&gate, up, gating).on("gate", &[&gate, up])
    }

    fn scale(&self, x: Tensor, factor: f32) -> Result<Tensor, BackendError> {
        x.affine(f64::from(factor), 0.0).on("scale", &[&x])
    }

    fn add(&self, a: Tensor, b: &Tensor) -> Result<Tensor, BackendError> {
        a.add(b).on("add", &[&a, b])
    }

    fn rows(&self, x: &Tensor, rows: &[usize]) -> Result<Tensor, BackendError> {
        Tensor::new(numbers(rows), &self.device).and_then(|rows| x.index_select(&rows, 0)).on("rows", &[x])
    }

    fn zeros(&self, n_rows: usize, width: usize) -> Result<Tensor, BackendError> {
        Tensor::zeros((n_rows, width), DType::F32, &self.device).on("zeros", &[])
    }

    fn add_rows(&self, acc: Tensor, rows: &[usize], weights: &[f32], y: &Tensor) -> Result<Tensor, BackendError> {
        operations::add_rows(&acc, &numbers(rows), weights, y).on("add_rows", &[&acc, y])
    }

    fn to_host(&self, x: &Tensor) -> Result<Vec<f32>, BackendError> {
        x.flatten_all().and_then(|x| x.to_vec1::<f32>()).on("to_host", &[x])
    }
}
