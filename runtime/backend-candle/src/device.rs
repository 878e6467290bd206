//! The operations as plain tensor operations: for GPUs, and the measure of `host` in tests.
//!
//! Right before fast: attention runs sequence by sequence and gathers the cache.

use alcazar_core::{AttentionSpec, Batch, RopeStyle, Sequence, backend::CacheSpec};
use candle_core::{D, DType, Device, Result, Tensor};

use crate::backend::Angles;

/// Keys and values of each layer: `[slots, n_kv_heads · head_dim]`, f32.
#[derive(Debug)]
pub(crate) struct Cache {
    layers: Vec<(Tensor, Tensor)>,
    block_tokens: usize,
}

impl Cache {
    pub(crate) fn new(spec: &CacheSpec, device: &Device) -> Result<Self> {
        let shape = (spec.shape.n_tokens(), spec.n_kv_heads * spec.head_dim);
        let layers = (0..spec.n_layers)
            .map(|_| Ok((Tensor::zeros(shape, DType::F32, device)?, Tensor::zeros(shape, DType::F32, device)?)));
        Ok(Self { layers: layers.collect::<Result<_>>()?, block_tokens: spec.shape.block_tokens })
    }

    /// Where the positions of a sequence lie.
    fn slots(&self, sequence: &Sequence, positions: std::ops::Range<usize>) -> Vec<u32> {
        let slot = |position: usize| {
            let block = sequence.blocks.get(position / self.block_tokens).map_or(0, |block| block.index());
            u32::try_from(block * self.block_tokens + position % self.block_tokens).unwrap_or(u32::MAX)
        };
        positions.map(slot).collect()
    }
}

pub(crate) fn rms_norm(x: &Tensor, gain: &Tensor, eps: f32) -> Result<Tensor> {
    let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean + f64::from(eps))?.sqrt()?)?.broadcast_mul(gain)
}

/// # Shapes
/// - x: `[rows, heads · head_dim]`; angles: `[rows, pairs]`
pub(crate) fn rope(x: &Tensor, angles: &Angles, head_dim: usize, style: RopeStyle) -> Result<Tensor> {
    let (n_rows, width) = x.dims2()?;
    let (n_heads, n_pairs) = (width / head_dim, angles.n_pairs);
    let shape = (n_rows, 1, n_pairs);
    let cos = Tensor::from_slice(&angles.cos, shape, x.device())?;
    let sin = Tensor::from_slice(&angles.sin, shape, x.device())?;
    let x = x.reshape((n_rows, n_heads, head_dim))?;
    let rotated = x.narrow(2, 0, 2 * n_pairs)?;
    let (a, b) = match style {
        RopeStyle::Halves => (rotated.narrow(2, 0, n_pairs)?, rotated.narrow(2, n_pairs, n_pairs)?),
        RopeStyle::Interleaved => {
            let pairs = rotated.reshape((n_rows, n_heads, n_pairs, 2))?;
            (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?)
        }
    };
    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let second = (a.broadcast_mul(&sin)? + b.broadcast_mul(&cos)?)?;
    let rotated = match style {
        RopeStyle::Halves => Tensor::cat(&[first, second], 2)?,
        RopeStyle::Interleaved => Tensor::stack(&[first, second], 3)?.reshape((n_rows, n_heads, 2 * n_pairs))?,
    };
    let rest = x.narrow(2, 2 * n_pairs, head_dim - 2 * n_pairs)?;
    Tensor::cat(&[rotated, rest], 2)?.reshape((n_rows, width))
}

pub(crate) fn attention([q, k, v]: [&Tensor; 3], cache: &Cache, spec: &AttentionSpec, batch: &Batch) -> Result<Tensor> {
    let Some((keys, values)) = cache.layers.get(spec.layer) else {
        candle_core::bail!("the cache has no layer {}", spec.layer)
    };
    let mut outputs = Vec::new();
    for sequence in &batch.sequences {
        let (first, n) = (sequence.first_row, sequence.n_tokens);
        let end = sequence.start + n;
        let width = k.dim(1)?;
        let fresh = Tensor::new(cache.slots(sequence, sequence.start..end), q.device())?;
        let index = fresh.reshape((n, 1))?.broadcast_as((n, width))?.contiguous()?;
        keys.scatter_set(&index, &k.narrow(0, first, n)?.contiguous()?, 0)?;
        values.scatter_set(&index, &v.narrow(0, first, n)?.contiguous()?, 0)?;
        let all = Tensor::new(cache.slots(sequence, 0..end), q.device())?;
        let heads = |x: Tensor, n_heads: usize| -> Result<Tensor> {
            x.reshape((x.dim(0)?, n_heads, spec.head_dim))?.transpose(0, 1)?.contiguous()
        };
        let k = grouped(&heads(keys.index_select(&all, 0)?, spec.n_kv_heads)?, spec)?;
        let v = grouped(&heads(values.index_select(&all, 0)?, spec.n_kv_heads)?, spec)?;
        let q = heads(q.narrow(0, first, n)?, spec.n_heads)?;
        let scores = (q.matmul(&k.t()?.contiguous()?)? * f64::from(spec.scale))?;
        let scores = scores.broadcast_add(&mask(sequence.start, n, q.device())?)?;
        let weights = softmax(&scores)?;
        outputs.push(weights.matmul(&v)?.transpose(0, 1)?.reshape((n, spec.n_heads * spec.head_dim))?);
    }
    Tensor::cat(&outputs, 0)
}

/// Each key-value head as often as it has query heads.
fn grouped(x: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
    let n_each = spec.n_heads / spec.n_kv_heads;
    let (n_heads, n_tokens, head_dim) = x.dims3()?;
    x.unsqueeze(1)?.broadcast_as((n_heads, n_each, n_tokens, head_dim))?.reshape((spec.n_heads, n_tokens, head_dim))
}

fn mask(start: usize, n: usize, device: &Device) -> Result<Tensor> {
    let end = start + n;
    let row = |row: usize| (0..end).map(move |at| if at > start + row { f32::NEG_INFINITY } else { 0.0 });
    Tensor::from_iter((0..n).flat_map(row), device)?.reshape((n, end))
}

fn softmax(x: &Tensor) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    x.broadcast_div(&x.sum_keepdim(D::Minus1)?)
}
