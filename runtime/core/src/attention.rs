//! What attention is asked to do: causally over a paged cache (decoders), or both ways within packed sequences (encoders).

use crate::BackendError;

/// A decoder's attention layer. Scores are `scale · q·k`, capped, then shifted by the slopes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionSpec<'a> {
    /// Layer, as an index into the cache.
    pub layer: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// Positions that a row sees, itself included; `None`: all before it.
    pub window: Option<usize>,
    /// Scores `s` become `cap · tanh(s / cap)` (Gemma 2).
    pub soft_cap: Option<f32>,
    /// ALiBi, one for each query head: `slope · (key position − query position)` is added. Empty: none.
    pub slopes: &'a [f32],
    /// A score for each query head that takes its share of the weights and has no value (gpt-oss). Empty: none.
    pub sinks: &'a [f32],
}

/// An encoder's attention layer: every row sees its whole sequence, no cache.
#[derive(Clone, Copy, Debug)]
pub struct PackedAttention<'a, T> {
    /// Rows of each sequence, one after the other, never padded.
    pub lengths: &'a [usize],
    /// Heads of queries, keys and values.
    pub n_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// A row sees rows at most this far from it, to either side (ModernBERT); `None`: its whole sequence.
    pub window: Option<usize>,
    /// Added to the scores by distance, after the scale (MPNet).
    pub bias: Option<DistanceBias<'a>>,
    /// Keys and queries of distances, before the scale (DeBERTa).
    pub relative: Option<Disentangled<'a, T>>,
}

/// A bias for each head and distance. Distances beyond the table take its nearest entry.
#[derive(Clone, Copy, Debug)]
pub struct DistanceBias<'a> {
    /// `[n_heads, 2 · reach + 1]`: the entry of distance `query − key` of a head is at `reach + distance`.
    pub values: &'a [f32],
    /// Farthest distance of the table.
    pub reach: usize,
}

/// DeBERTa's disentangled attention: with `b = buckets[reach + query − key]`, a score is
/// `scale · (q·k + q·keys[b] + k·queries[b])`. Distances beyond the table take its nearest entry.
#[derive(Clone, Copy, Debug)]
pub struct Disentangled<'a, T> {
    /// `[2 · reach + 1]`, each below the rows of `keys` and `queries`.
    pub buckets: &'a [u32],
    /// Farthest distance of the table.
    pub reach: usize,
    /// Content to position: `[n_buckets, n_heads · head_dim]`.
    pub keys: Option<&'a T>,
    /// Position to content: `[n_buckets, n_heads · head_dim]`.
    pub queries: Option<&'a T>,
}

impl AttentionSpec<'static> {
    /// Plain causal attention, scaled by `1 / sqrt(head_dim)`.
    pub fn plain(layer: usize, n_heads: usize, n_kv_heads: usize, head_dim: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a head has far fewer than 2^23 elements")]
        let scale = 1.0 / (head_dim as f32).sqrt();
        Self { layer, n_heads, n_kv_heads, head_dim, scale, window: None, soft_cap: None, slopes: &[], sinks: &[] }
    }
}

impl AttentionSpec<'_> {
    /// The first position that the row at `position` sees.
    pub fn first_visible(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

impl<T> PackedAttention<'_, T> {
    /// Checks the shapes once per layer, so that kernels may index without a second thought; `dims` answers a tensor's
    /// rows and width.
    pub fn check(&self, qkv: [&T; 3], dims: impl Fn(&T) -> [usize; 2]) -> Result<(), BackendError> {
        let wrong =
            |found: String, expected: String| Err(BackendError::Shape { op: "packed_attention", found, expected });
        let width = self.n_heads * self.head_dim;
        let n_rows: usize = self.lengths.iter().sum();
        if self.lengths.contains(&0) || n_rows * width == 0 {
            return wrong(format!("sequences of {:?} rows of {width}", self.lengths), "at least one each".to_owned());
        }
        if let Some(found) = qkv.map(&dims).into_iter().find(|found| *found != [n_rows, width]) {
            return wrong(format!("{found:?}"), format!("{n_rows} rows of {width}"));
        }
        if let Some(bias) = self.bias {
            let expected = self.n_heads * (2 * bias.reach + 1);
            if bias.values.len() != expected {
                return wrong(format!("{} biases", bias.values.len()), expected.to_string());
            }
        }
        let Some(relative) = &self.relative else { return Ok(()) };
        if relative.buckets.len() != 2 * relative.reach + 1 {
            return wrong(format!("{} buckets", relative.buckets.len()), (2 * relative.reach + 1).to_string());
        }
        let n_buckets = relative.buckets.iter().max().map_or(0, |last| *last as usize + 1);
        let mut tables = [relative.keys, relative.queries].into_iter().flatten().map(dims);
        match tables.find(|[rows, found]| *rows < n_buckets || *found != width) {
            Some(found) => wrong(format!("{found:?}"), format!("at least {n_buckets} rows of {width}")),
            None => Ok(()),
        }
    }
}

/// Where the distance `query − key` lies in a table that reaches `reach` to either side.
pub const fn distance_index(query: usize, key: usize, reach: usize) -> usize {
    if query >= key {
        let distance = query - key;
        reach + if distance < reach { distance } else { reach }
    } else {
        let distance = key - query;
        reach - if distance < reach { distance } else { reach }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_beyond_the_table_take_its_ends() {
        let found: Vec<_> = [(0, 0), (3, 1), (9, 1), (1, 3), (1, 9)].map(|(q, k)| distance_index(q, k, 4)).into();
        assert_eq!(found, [4, 6, 8, 2, 0]);
    }

    /// Tensors are their rows and widths.
    #[test]
    fn packed_shapes_that_do_not_fit_are_refused() {
        let plain = PackedAttention {
            lengths: &[40, 2],
            n_heads: 3,
            head_dim: 20,
            scale: 1.0,
            window: None,
            bias: None,
            relative: None,
        };
        let keys = [4, 60];
        let relative = |buckets| Some(Disentangled { buckets, reach: 1, keys: Some(&keys), queries: None });
        let check = |spec: &PackedAttention<'_, [usize; 2]>| spec.check([&[42, 60]; 3], |dims| *dims);
        check(&plain).unwrap();
        check(&PackedAttention { relative: relative(&[0, 1, 3]), ..plain }).unwrap();
        for spec in [
            PackedAttention { lengths: &[42, 1], ..plain },
            PackedAttention { lengths: &[42, 0], ..plain },
            PackedAttention { lengths: &[], ..plain },
            PackedAttention { bias: Some(DistanceBias { values: &[0.0; 4], reach: 1 }), ..plain },
            PackedAttention { relative: relative(&[0, 1]), ..plain },
            PackedAttention { relative: relative(&[0, 1, 4]), ..plain },
        ] {
            assert!(check(&spec).is_err(), "{spec:?}");
        }
    }

    #[test]
    fn a_window_counts_the_row_itself() {
        let spec = AttentionSpec { window: Some(3), ..AttentionSpec::plain(0, 1, 1, 4) };
        assert_eq!([0, 2, 3, 10].map(|position| spec.first_visible(position)), [0, 0, 1, 8]);
    }
}
