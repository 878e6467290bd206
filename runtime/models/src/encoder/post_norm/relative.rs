//! What attention knows of distances: MPNet's bias, DeBERTa's keys and queries of positions.

use alcazar_core::{Backend, Disentangled, EncoderConfig, EncoderFamily, encoder::Deberta};

use super::super::{Norm, distances};
use crate::{
    LoadError,
    weights::{Linear, Loader},
};

/// By the distance `query − key`; entry `reach + distance`.
pub(super) enum DistanceTable {
    None,
    /// `[n_heads, 2 · reach + 1]`.
    Bias {
        values: Vec<f32>,
        reach: usize,
    },
    /// `[2 · reach + 1]`.
    Buckets {
        buckets: Vec<u32>,
        reach: usize,
    },
}

impl DistanceTable {
    pub(super) fn load<B: Backend>(
        loader: &Loader<'_, B>,
        below: &str,
        config: &EncoderConfig,
    ) -> Result<Self, LoadError> {
        let reach = config.max_tokens().saturating_sub(1);
        match &config.family {
            EncoderFamily::Mpnet { n_buckets } => {
                let name = format!("{below}encoder.relative_attention_bias.weight");
                let table = loader.raw(&name, &[*n_buckets, config.n_heads])?.to_f32()?;
                let buckets = distances::halves(*n_buckets, reach);
                let value = |head: usize, bucket: usize| table.get(bucket * config.n_heads + head).copied();
                let of_head = |head| buckets.iter().map(move |bucket| value(head, *bucket).unwrap_or_default());
                Ok(Self::Bias { values: (0..config.n_heads).flat_map(of_head).collect(), reach })
            }
            EncoderFamily::Deberta(own) => {
                let entries = distances::around_the_middle(own.n_buckets, own.max_distance, reach);
                let buckets = entries.iter().map(|entry| u32::try_from(*entry).unwrap_or(u32::MAX)).collect();
                Ok(Self::Buckets { buckets, reach })
            }
            _ => Ok(Self::None),
        }
    }
}

/// `1 / sqrt(head_dim)`, for DeBERTa `1 / sqrt(head_dim · kinds of scores)`.
pub(super) fn scale(config: &EncoderConfig) -> f32 {
    let n_scores = match &config.family {
        EncoderFamily::Deberta(own) => 1 + usize::from(own.content_to_position) + usize::from(own.position_to_content),
        _ => 1,
    };
    #[expect(clippy::cast_precision_loss, reason = "a head has far fewer than 2^23 elements")]
    let width = (config.head_dim() * n_scores) as f32;
    1.0 / width.sqrt()
}

/// DeBERTa's vectors of distances, `[2 · span, hidden]`, which each layer projects.
pub(super) fn table<B: Backend>(
    loader: &Loader<'_, B>,
    below: &str,
    config: &EncoderConfig,
) -> Result<Option<B::Tensor>, LoadError> {
    let EncoderFamily::Deberta(own) = &config.family else { return Ok(None) };
    let n_entries = 2 * own.n_buckets.unwrap_or(own.max_distance);
    let name = format!("{below}encoder.rel_embeddings.weight");
    let matrix = loader.matrix(&name, [n_entries, config.hidden])?;
    let ids: Vec<u32> = (0..n_entries).map(|id| u32::try_from(id).unwrap_or(u32::MAX)).collect();
    let on_device = |source| LoadError::Device { name: name.clone(), source };
    let rows = loader.backend.embedding(&matrix, &ids).map_err(on_device)?;
    if !own.norms_table {
        return Ok(Some(rows));
    }
    let norm = Norm::load(loader, &format!("{below}encoder.LayerNorm"), config.hidden, config.norm_epsilon)?;
    norm.apply(loader.backend, &rows).map(Some).map_err(on_device)
}

/// A layer's projections of the distances; they are the same for every text, so they are made once.
pub(super) struct Relative<B: Backend> {
    keys: Option<B::Tensor>,
    queries: Option<B::Tensor>,
}

impl<B: Backend> Relative<B> {
    pub(super) fn load(
        loader: &Loader<'_, B>,
        at: &str,
        own: &Deberta,
        table: &B::Tensor,
        [q, k]: [&Linear<B>; 2],
    ) -> Result<Self, LoadError> {
        let hidden = [q.n_out(), q.n_out()];
        let project = |name: &str, shared: &Linear<B>| {
            let name = format!("{at}.attention.self.{name}");
            let projected = if own.shares_projections {
                shared.apply(loader.backend, table)
            } else {
                loader.linear(&name, hidden)?.apply(loader.backend, table)
            };
            projected.map_err(|source| LoadError::Device { name, source })
        };
        Ok(Self {
            keys: own.content_to_position.then(|| project("pos_key_proj", k)).transpose()?,
            queries: own.position_to_content.then(|| project("pos_query_proj", q)).transpose()?,
        })
    }

    pub(super) const fn at<'a>(&'a self, buckets: &'a [u32], reach: usize) -> Disentangled<'a, B::Tensor> {
        Disentangled { buckets, reach, keys: self.keys.as_ref(), queries: self.queries.as_ref() }
    }
}
