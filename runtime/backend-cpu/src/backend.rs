//! The backend: checks shapes, and hands each operation to its module with the threads.

use std::{num::NonZeroUsize, sync::Arc};

use alcazar_core::{
    Activation, AttentionSpec, Backend, BackendError, Batch, DecoderConfig, Gating, PackedAttention, RawTensor,
    RopeStyle, WeightType,
    backend::{CacheSpec, HostAngles},
};

use crate::{
    activation, attention,
    cache::{Cache, CachePrecision},
    matrix::{self, Matrix, multiply_each},
    norm, packed,
    pool::Pool,
    rope, sum,
    tensor::{Tensor, Vector, misfit},
};

/// This machine's CPUs. Clones share their threads.
#[derive(Clone)]
pub struct CpuBackend {
    pool: Arc<Pool>,
    precision: CachePrecision,
}

impl CpuBackend {
    /// With `n_threads` that compute, the caller's included, and keys and values kept as `precision` says.
    pub fn new(n_threads: NonZeroUsize, precision: CachePrecision) -> Self {
        Self { pool: Arc::new(Pool::new(n_threads)), precision }
    }

    /// What people call the device.
    pub const fn device_name(&self) -> &'static str {
        "CPU"
    }

    /// Memory that weights take which are so many bytes in the file.
    pub fn memory_bytes(weight_type: WeightType, file_bytes: u64) -> u64 {
        /// Whole blocks of all types; the kernels round rows up, of which few are lost in wide matrices.
        const WIDTH: usize = 256;
        let n_blocks = file_bytes.div_ceil(weight_type.block_bytes() as u64);
        let n = usize::try_from(n_blocks.saturating_mul(weight_type.block_elements() as u64)).unwrap_or(usize::MAX);
        matrix::memory_bytes(weight_type, [n.div_ceil(WIDTH), WIDTH])
    }

    /// Memory that a token's keys and values take.
    pub fn cache_bytes_per_token(&self, config: &DecoderConfig) -> u64 {
        (2 * config.n_layers() * config.kv_width() * self.precision.bytes()) as u64
    }
}

impl Backend for CpuBackend {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Vector = Vector;
    type Angles = HostAngles;
    type Cache = Cache;

    fn matrix(&self, raw: &RawTensor<'_>) -> Result<Matrix, BackendError> {
        Matrix::new(raw, &self.pool)
    }

    fn vector(&self, raw: &RawTensor<'_>) -> Result<Vector, BackendError> {
        Vector::new(raw, &self.pool)
    }

    fn cache(&self, spec: &CacheSpec) -> Result<Cache, BackendError> {
        Cache::new(spec, self.precision)
    }

    fn embedding(&self, table: &Matrix, ids: &[u32]) -> Result<Tensor, BackendError> {
        let mut out = Tensor::zeros(ids.len(), table.n_in());
        for (id, out) in ids.iter().zip(out.values.chunks_exact_mut(table.n_in().max(1))) {
            if !table.row(*id as usize, out) {
                return Err(misfit("embedding", format!("row {id}"), format!("one of {}", table.n_out())));
            }
        }
        Ok(out)
    }

    fn linear(&self, x: &Tensor, w: &Matrix, bias: Option<&Vector>) -> Result<Tensor, BackendError> {
        self.linear_each(x, [(w, bias)]).map(|[out]| out)
    }

    fn linear_each<const N: usize>(
        &self,
        x: &Tensor,
        parts: [(&Matrix, Option<&Vector>); N],
    ) -> Result<[Tensor; N], BackendError> {
        for (w, bias) in parts {
            check_linear(x, w, bias)?;
        }
        let mut products = parts.map(|(w, _)| Tensor::zeros(x.n_rows(), w.n_out()));
        let outs = products.each_mut().map(|product| product.values.as_mut_slice());
        multiply_each(parts.map(|(w, _)| w), &x.values, x.n_rows(), outs, &self.pool);
        for (product, (_, bias)) in products.iter_mut().zip(parts) {
            if let Some(bias) = bias {
                sum::add_bias(product, &bias.values, &self.pool);
            }
        }
        Ok(products)
    }

    fn layer_norm(&self, x: &Tensor, gain: &Vector, bias: Option<&Vector>, eps: f32) -> Result<Tensor, BackendError> {
        norm::layer_norm(x, &gain.values, bias.map(|bias| bias.values.as_slice()), eps, &self.pool)
    }

    fn rms_norm(&self, x: &Tensor, gain: &Vector, eps: f32) -> Result<Tensor, BackendError> {
        norm::rms_norm(x, &gain.values, eps, &self.pool)
    }

    fn angles(&self, positions: &[u32], frequencies: &[f32], magnitude: f32) -> Result<HostAngles, BackendError> {
        Ok(HostAngles::new(positions, frequencies, magnitude))
    }

    fn rope(&self, x: Tensor, angles: &HostAngles, head_dim: usize, style: RopeStyle) -> Result<Tensor, BackendError> {
        rope::rope(x, angles, head_dim, style, &self.pool)
    }

    fn attention(
        &self,
        qkv: [&Tensor; 3],
        cache: &mut Cache,
        spec: &AttentionSpec<'_>,
        batch: &Batch,
    ) -> Result<Tensor, BackendError> {
        attention::attention(qkv, cache, spec, batch, &self.pool)
    }

    fn packed_attention(&self, qkv: [&Tensor; 3], spec: &PackedAttention<'_, Tensor>) -> Result<Tensor, BackendError> {
        packed::packed_attention(qkv, spec, &self.pool)
    }

    fn activate(&self, x: Tensor, activation: Activation) -> Result<Tensor, BackendError> {
        Ok(activation::activate(x, activation, &self.pool))
    }

    fn gate(&self, gate: Tensor, up: &Tensor, gating: Gating) -> Result<Tensor, BackendError> {
        activation::gate(gate, up, gating, &self.pool)
    }

    fn scale(&self, x: Tensor, factor: f32) -> Result<Tensor, BackendError> {
        Ok(sum::scale(x, factor, &self.pool))
    }

    fn add(&self, a: Tensor, b: &Tensor) -> Result<Tensor, BackendError> {
        sum::add(a, b, &self.pool)
    }

    fn rows(&self, x: &Tensor, rows: &[usize]) -> Result<Tensor, BackendError> {
        sum::rows(x, rows)
    }

    fn zeros(&self, n_rows: usize, width: usize) -> Result<Tensor, BackendError> {
        Ok(Tensor::zeros(n_rows, width))
    }

    fn add_rows(&self, acc: Tensor, rows: &[usize], weights: &[f32], y: &Tensor) -> Result<Tensor, BackendError> {
        sum::add_rows(acc, rows, weights, y)
    }

    fn to_host(&self, x: &Tensor) -> Result<Vec<f32>, BackendError> {
        Ok(x.values.clone())
    }
}

fn check_linear(x: &Tensor, w: &Matrix, bias: Option<&Vector>) -> Result<(), BackendError> {
    let bias = bias.map(|bias| bias.values.len());
    if x.width == w.n_in() && bias.is_none_or(|bias| bias == w.n_out()) {
        return Ok(());
    }
    let expected = format!("rows of {}, a bias of {}", w.n_in(), w.n_out());
    Err(misfit("linear", format!("{:?}, a bias of {bias:?}", x.dims()), expected))
}
