//! The backend: chooses between `host` and `device`, and turns candle's errors into the runtime's.

use alcazar_core::{
    Activation, AttentionSpec, Backend, BackendError, Batch, DecoderConfig, Gating, PackedAttention, RawTensor,
    RopeStyle, WeightType, backend::CacheSpec,
};
use candle_core::{DType, Device, Tensor};

use crate::{
    device, host, packed,
    weights::{Matrix, Vector},
};

/// Candle on one device.
#[derive(Clone, Debug)]
pub struct CandleBackend {
    device: Device,
    /// The operations of `device` on a CPU as well: slow, and the measure of `host`.
    plain: bool,
}

/// Keys and values of all layers.
#[derive(Debug)]
pub struct Cache {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Host(host::Cache),
    Device(device::Cache),
}

/// Sines and cosines of a batch's positions: `[rows, pairs]` each.
#[derive(Debug)]
pub struct Angles {
    pub(crate) cos: Vec<f32>,
    pub(crate) sin: Vec<f32>,
    pub(crate) n_pairs: usize,
}

impl CandleBackend {
    /// On the CPU.
    pub const fn cpu() -> Self {
        Self { device: Device::Cpu, plain: false }
    }

    /// On a GPU when there is one and this build can use it, else on the CPU.
    pub fn best() -> Result<Self, BackendError> {
        let device = Device::cuda_if_available(0).map_err(|error| device_error("open", "the device", error))?;
        Ok(Self { device, plain: false })
    }

    /// Tensor operations alone, for tests.
    pub const fn plain() -> Self {
        Self { device: Device::Cpu, plain: true }
    }

    /// What people call the device.
    pub fn device_name(&self) -> String {
        match self.device {
            Device::Cpu => "CPU".to_owned(),
            Device::Cuda(_) => "CUDA".to_owned(),
            Device::Metal(_) => "Metal".to_owned(),
        }
    }

    /// Memory that a weight takes beyond its bytes in the file.
    ///
    /// Half-precision weights are widened to f32; of some quantised ones candle keeps a second copy for its kernels.
    pub const fn extra_bytes(&self, weight_type: WeightType, file_bytes: u64) -> u64 {
        if !self.on_host() {
            return 0;
        }
        match weight_type {
            WeightType::F16 | WeightType::BF16 | WeightType::Q8_0 => file_bytes,
            // It becomes Q8_0, 34 bytes for 17, and is kept twice as that.
            WeightType::MXFP4 => file_bytes * 3,
            // 18 bytes and an f32 for a block of 20 bytes: see `host::offsets`.
            WeightType::Q4_1 => file_bytes / 10,
            // 6 bits beside 4.5, 10 beside 6.5625.
            WeightType::Q4_K => file_bytes / 3 * 4,
            WeightType::Q6_K => file_bytes / 2 * 3,
            _ => 0,
        }
    }

    /// Memory that a token's keys and values take.
    pub fn cache_bytes_per_token(&self, config: &DecoderConfig) -> u64 {
        let element_bytes = if self.on_host() { size_of::<u16>() } else { size_of::<f32>() };
        (2 * config.n_layers() * config.kv_width() * element_bytes) as u64
    }

    const fn on_host(&self) -> bool {
        matches!(self.device, Device::Cpu) && !self.plain
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
    type Angles = Angles;
    type Cache = Cache;

    fn matrix(&self, raw: &RawTensor<'_>) -> Result<Matrix, BackendError> {
        Matrix::new(raw, &self.device)
    }

    fn vector(&self, raw: &RawTensor<'_>) -> Result<Vector, BackendError> {
        Vector::new(raw, &self.device)
    }

    fn cache(&self, spec: &CacheSpec) -> Result<Cache, BackendError> {
        if self.on_host() {
            return host::Cache::new(spec).map(|cache| Cache { place: Place::Host(cache) });
        }
        device::Cache::new(spec, &self.device)
            .map(|cache| Cache { place: Place::Device(cache) })
            .map_err(|error| device_error("cache", format!("{spec:?}"), error))
    }

    fn embedding(&self, table: &Matrix, ids: &[u32]) -> Result<Tensor, BackendError> {
        table
            .lookup(ids, &self.device)
            .map_err(|error| device_error("embedding", format!("{} rows of {}", ids.len(), table.n_out), error))
    }

    fn linear(&self, x: &Tensor, w: &Matrix, bias: Option<&Vector>) -> Result<Tensor, BackendError> {
        if x.dims().last() != Some(&w.n_in) || bias.is_some_and(|bias| bias.values.len() != w.n_out) {
            return Err(BackendError::Shape {
                op: "linear",
                found: format!("{:?}, a bias of {:?}", x.dims(), bias.map(|bias| bias.values.len())),
                expected: format!("rows of {}, a bias of {}", w.n_in, w.n_out),
            });
        }
        let y = w.multiply(x).on("linear", &[x])?;
        match bias {
            None => Ok(y),
            Some(bias) if self.on_host() => host::add_bias(&y, &bias.values),
            Some(bias) => y.broadcast_add(&bias.tensor).on("bias", &[&y]),
        }
    }

    fn layer_norm(&self, x: &Tensor, gain: &Vector, bias: Option<&Vector>, eps: f32) -> Result<Tensor, BackendError> {
        if self.on_host() {
            return host::layer_norm(x, &gain.values, bias.map(|bias| bias.values.as_slice()), eps);
        }
        device::layer_norm(x, &gain.tensor, bias.map(|bias| &bias.tensor), eps).on("layer_norm", &[x])
    }

    fn rms_norm(&self, x: &Tensor, gain: &Vector, eps: f32) -> Result<Tensor, BackendError> {
        if self.on_host() {
            return host::rms_norm(x, &gain.values, eps);
        }
        device::rms_norm(x, &gain.tensor, eps).on("rms_norm", &[x])
    }

    fn angles(&self, positions: &[u32], frequencies: &[f32], magnitude: f32) -> Result<Angles, BackendError> {
        #[expect(clippy::cast_precision_loss, reason = "the reference computes angles in f32 too")]
        let angle = |position: u32, frequency: f32| position as f32 * frequency;
        let angles = positions.iter().flat_map(|position| frequencies.iter().map(move |f| angle(*position, *f)));
        let (sin, cos) = angles.map(f32::sin_cos).map(|(sin, cos)| (sin * magnitude, cos * magnitude)).unzip();
        Ok(Angles { cos, sin, n_pairs: frequencies.len() })
    }

    fn rope(&self, x: Tensor, angles: &Angles, head_dim: usize, style: RopeStyle) -> Result<Tensor, BackendError> {
        if self.on_host() {
            return host::rope(&x, angles, head_dim, style);
        }
        device::rope(&x, angles, head_dim, style).on("rope", &[&x])
    }

    fn attention(
        &self,
        [q, k, v]: [&Tensor; 3],
        cache: &mut Cache,
        spec: &AttentionSpec<'_>,
        batch: &Batch,
    ) -> Result<Tensor, BackendError> {
        match &mut cache.place {
            Place::Host(cache) => host::attention([q, k, v], cache, spec, batch),
            Place::Device(cache) => device::attention([q, k, v], cache, spec, batch).on("attention", &[q, k, v]),
        }
    }

    fn packed_attention(&self, qkv: [&Tensor; 3], spec: &PackedAttention<'_, Tensor>) -> Result<Tensor, BackendError> {
        packed::check(qkv, spec)?;
        if self.on_host() {
            return host::packed_attention(qkv, spec);
        }
        device::packed_attention(qkv, spec).on("packed_attention", &qkv)
    }

    fn activate(&self, x: Tensor, activation: Activation) -> Result<Tensor, BackendError> {
        if self.on_host() {
            return host::activate(&x, activation);
        }
        device::activate(&x, activation).on("activate", &[&x])
    }

    fn gate(&self, gate: Tensor, up: &Tensor, gating: Gating) -> Result<Tensor, BackendError> {
        if self.on_host() {
            return host::gate(&gate, up, gating);
        }
        device::gate(&gate, up, gating).on("gate", &[&gate, up])
    }

    fn scale(&self, x: Tensor, factor: f32) -> Result<Tensor, BackendError> {
        if self.on_host() {
            return host::scale(&x, factor);
        }
        x.affine(f64::from(factor), 0.0).on("scale", &[&x])
    }

    fn add(&self, a: Tensor, b: &Tensor) -> Result<Tensor, BackendError> {
        if self.on_host() {
            return host::add(&a, b);
        }
        a.add(b).on("add", &[&a, b])
    }

    fn rows(&self, x: &Tensor, rows: &[usize]) -> Result<Tensor, BackendError> {
        Tensor::new(numbers(rows), &self.device).and_then(|rows| x.index_select(&rows, 0)).on("rows", &[x])
    }

    fn zeros(&self, n_rows: usize, width: usize) -> Result<Tensor, BackendError> {
        Tensor::zeros((n_rows, width), DType::F32, &self.device).on("zeros", &[])
    }

    fn add_rows(&self, acc: Tensor, rows: &[usize], weights: &[f32], y: &Tensor) -> Result<Tensor, BackendError> {
        if y.dims().first() != Some(&rows.len()) || weights.len() != rows.len() {
            return Err(BackendError::Shape {
                op: "add_rows",
                found: format!("{:?}, {} rows, {} weights", y.dims(), rows.len(), weights.len()),
                expected: "as many of each".to_owned(),
            });
        }
        if self.on_host() {
            return host::add_rows(&acc, rows, weights, y);
        }
        device::add_rows(&acc, &numbers(rows), weights, y).on("add_rows", &[&acc, y])
    }

    fn to_host(&self, x: &Tensor) -> Result<Vec<f32>, BackendError> {
        x.flatten_all().and_then(|x| x.to_vec1::<f32>()).on("to_host", &[x])
    }
}
