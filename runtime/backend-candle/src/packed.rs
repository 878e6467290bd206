//! Attention both ways within packed sequences, sequence by sequence.

use alcazar_core::{Disentangled, DistanceBias, PackedAttention, attention::distance_index};
use candle_core::{Device, Result, Tensor};

use crate::operations::softmax;

pub(crate) fn packed_attention([q, k, v]: [&Tensor; 3], spec: &PackedAttention<'_, Tensor>) -> Result<Tensor> {
    let heads = |x: &Tensor| -> Result<Tensor> {
        x.reshape((x.dim(0)?, spec.n_heads, spec.head_dim))?.transpose(0, 1)?.contiguous()
    };
    let (mut outputs, mut first) = (Vec::new(), 0);
    for n in spec.lengths.iter().copied() {
        let [q, k, v] = [q, k, v].map(|x| heads(&x.narrow(0, first, n)?));
        let (q, k) = (q?, k?);
        let mut scores = q.matmul(&k.t()?.contiguous()?)?;
        if let Some(relative) = &spec.relative {
            scores = (scores + relative_scores(&q, &k, relative, heads)?)?;
        }
        let scores = (scores * f64::from(spec.scale))?.broadcast_add(&shift(n, spec, q.device())?)?;
        let out = softmax(&scores)?.matmul(&v?)?;
        outputs.push(out.transpose(0, 1)?.reshape((n, spec.n_heads * spec.head_dim))?);
        first += n;
    }
    Tensor::cat(&outputs, 0)
}

/// What queries have in common with distances' keys, and keys with distances' queries: `[heads, rows, rows]`.
fn relative_scores(
    q: &Tensor,
    k: &Tensor,
    relative: &Disentangled<'_, Tensor>,
    heads: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let (n_heads, n, _) = q.dims3()?;
    let bucket = |query, key| relative.buckets.get(distance_index(query, key, relative.reach)).copied().unwrap_or(0);
    let index = |bucket: &dyn Fn(usize, usize) -> u32| -> Result<Tensor> {
        let buckets: Vec<u32> = (0..n).flat_map(|row| (0..n).map(move |column| bucket(row, column))).collect();
        Tensor::from_vec(buckets, (1, n, n), q.device())?.broadcast_as((n_heads, n, n))?.contiguous()
    };
    let mut sum = Tensor::zeros((n_heads, n, n), q.dtype(), q.device())?;
    if let Some(keys) = relative.keys {
        let all = q.matmul(&heads(keys)?.t()?.contiguous()?)?;
        sum = (sum + all.gather(&index(&bucket)?, 2)?)?;
    }
    if let Some(queries) = relative.queries {
        let all = k.matmul(&heads(queries)?.t()?.contiguous()?)?;
        sum = (sum + all.gather(&index(&|key, query| bucket(query, key))?, 2)?.t()?)?;
    }
    Ok(sum)
}

/// What is added to the scores: `[1 or heads, rows, rows]`.
fn shift(n: usize, spec: &PackedAttention<'_, Tensor>, device: &Device) -> Result<Tensor> {
    let n_heads = if spec.bias.is_some() { spec.n_heads } else { 1 };
    let value = |head: usize, query: usize, key: usize| {
        if spec.window.is_some_and(|window| query.abs_diff(key) > window) {
            return f32::NEG_INFINITY;
        }
        spec.bias.map_or(0.0, |DistanceBias { values, reach }| {
            values.get(head * (2 * reach + 1) + distance_index(query, key, reach)).copied().unwrap_or(0.0)
        })
    };
    let rows = (0..n_heads * n).map(|row| (row / n, row % n));
    let values: Vec<f32> = rows.flat_map(|(head, query)| (0..n).map(move |key| value(head, query, key))).collect();
    Tensor::from_vec(values, (n_heads, n, n), device)
}
