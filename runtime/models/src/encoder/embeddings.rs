//! What layers start from: tokens, positions and types, added up and normed.

use alcazar_core::{Backend, BackendError, EncoderConfig, EncoderFamily, PackedBatch};

use super::{Norm, prefix};
use crate::{
    LoadError,
    weights::{Linear, Loader},
};

pub(super) struct Embeddings<B: Backend> {
    pub(super) tokens: B::Matrix,
    positions: Option<B::Matrix>,
    types: Option<B::Matrix>,
    norm: Norm<B>,
    /// To the layers' width, where the tables are narrower.
    projection: Option<Linear<B>>,
    first_position: usize,
}

/// Where checkpoints have their tables: alone, or below their family's name.
const PREFIXES: [&str; 8] = ["", "bert.", "roberta.", "distilbert.", "electra.", "albert.", "mpnet.", "deberta."];

/// The prefix of all of a trunk's tensors.
pub(super) fn trunk_prefix<B: Backend>(loader: &Loader<'_, B>) -> &'static str {
    prefix(loader, &PREFIXES, "embeddings.word_embeddings.weight")
}

impl<B: Backend> Embeddings<B> {
    pub(super) fn load(loader: &Loader<'_, B>, config: &EncoderConfig) -> Result<Self, LoadError> {
        let below = trunk_prefix(loader);
        let width = config.embedding;
        let table = |name: &str, n_entries: usize| {
            loader.matrix(&format!("{below}embeddings.{name}_embeddings.weight"), [n_entries, width])
        };
        let has_positions = match &config.family {
            EncoderFamily::Deberta(own) => own.has_positions,
            _ => true,
        };
        let projection = match config.family {
            // Absent where the widths are equal.
            EncoderFamily::Electra if width != config.hidden => Some("embeddings_project"),
            EncoderFamily::Albert { .. } => Some("encoder.embedding_hidden_mapping_in"),
            _ => None,
        };
        Ok(Self {
            tokens: table("word", config.vocabulary)?,
            positions: has_positions.then(|| table("position", config.n_positions)).transpose()?,
            types: (config.n_types > 0).then(|| table("token_type", config.n_types)).transpose()?,
            norm: Norm::load(loader, &format!("{below}embeddings.LayerNorm"), width, config.norm_epsilon)?,
            projection: projection
                .map(|name| loader.linear(&format!("{below}{name}"), [config.hidden, width]))
                .transpose()?,
            first_position: config.first_position,
        })
    }

    /// # Shapes
    /// - output: `[rows, hidden]`
    pub(super) fn rows(&self, backend: &B, batch: &PackedBatch) -> Result<B::Tensor, BackendError> {
        let mut x = backend.embedding(&self.tokens, &batch.tokens)?;
        if let Some(table) = &self.positions {
            x = backend.add(x, &backend.embedding(table, &batch.positions(self.first_position))?)?;
        }
        if let Some(table) = &self.types {
            x = backend.add(x, &backend.embedding(table, &batch.types)?)?;
        }
        let x = self.norm.apply(backend, &x)?;
        match &self.projection {
            Some(projection) => projection.apply(backend, &x),
            None => Ok(x),
        }
    }
}
