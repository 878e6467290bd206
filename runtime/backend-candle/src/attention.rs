//! Causal attention over the paged cache, sequence by sequence.

use alcazar_core::{AttentionSpec, Batch, Sequence, backend::CacheSpec};
use candle_core::{DType, Device, Result, Tensor};

/// Keys and values of each layer: `[slots, n_kv_heads · head_dim]`, f32.
#[derive(Debug)]
pub struct Cache {
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

pub(crate) fn attention(
    [q, k, v]: [&Tensor; 3],
    cache: &Cache,
    spec: &AttentionSpec<'_>,
    batch: &Batch,
) -> Result<Tensor> {
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
        let scores = match spec.soft_cap.map(f64::from) {
            Some(cap) => ((scores / cap)?.tanh()? * cap)?,
            None => scores,
        };
        let scores = scores.broadcast_add(&mask(sequence, spec, q.device())?)?;
        let weights = softmax(&scores, spec)?;
        outputs.push(weights.contiguous()?.matmul(&v)?.transpose(0, 1)?.reshape((n, spec.n_heads * spec.head_dim))?);
    }
    Tensor::cat(&outputs, 0)
}

/// Each key-value head as often as it has query heads.
fn grouped(x: &Tensor, spec: &AttentionSpec<'_>) -> Result<Tensor> {
    let n_each = spec.n_heads / spec.n_kv_heads;
    let (n_heads, n_tokens, head_dim) = x.dims3()?;
    x.unsqueeze(1)?.broadcast_as((n_heads, n_each, n_tokens, head_dim))?.reshape((spec.n_heads, n_tokens, head_dim))
}

/// What is added to the scores: `[1 or heads, rows, keys]`.
fn mask(sequence: &Sequence, spec: &AttentionSpec<'_>, device: &Device) -> Result<Tensor> {
    let (n, end) = (sequence.n_tokens, sequence.start + sequence.n_tokens);
    let slopes = if spec.slopes.is_empty() { &[0.0] } else { spec.slopes };
    let mut values = Vec::with_capacity(slopes.len() * n * end);
    for slope in slopes {
        for query in sequence.start..end {
            values.extend((0..end).map(|key| match () {
                () if key > query || key < spec.first_visible(query) => f32::NEG_INFINITY,
                #[expect(clippy::cast_precision_loss, reason = "a context has fewer than 2^24 positions")]
                () => -slope * (query - key) as f32,
            }));
        }
    }
    Tensor::from_vec(values, (slopes.len(), n, end), device)
}

fn softmax(scores: &Tensor, spec: &AttentionSpec<'_>) -> Result<Tensor> {
    let (n_heads, n_rows, n_keys) = scores.dims3()?;
    if spec.sinks.is_empty() {
        return crate::operations::softmax(scores);
    }
    let sinks = Tensor::new(spec.sinks, scores.device())?.reshape((n_heads, 1, 1))?;
    let scores = Tensor::cat(&[scores, &sinks.broadcast_as((n_heads, n_rows, 1))?], 2)?;
    crate::operations::softmax(&scores)?.narrow(2, 0, n_keys)
}
