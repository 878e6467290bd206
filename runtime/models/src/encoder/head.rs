//! What is made of the last layer's rows: a vector of the text, or scores of it or of its tokens.

mod names;
mod pool;

use alcazar_core::{
    Backend, BackendError, EncoderConfig, Head, PackedBatch, RawTensor,
    encoder::{Pooling, SentenceEmbedding, Stage},
};

use self::names::{Hidden, Names};
use super::{Dense, Norm, embeddings::trunk_prefix};
use crate::{LoadError, weights::Loader};

pub(super) struct HeadWeights<B: Backend> {
    /// `None`: a row for each token that is wanted.
    pooling: Option<Pooling>,
    steps: Vec<Step<B>>,
}

enum Step<B: Backend> {
    Dense(Dense<B>),
    /// The table of tokens as a matrix, and a bias.
    Vocabulary {
        bias: Option<B::Vector>,
    },
    Normalize,
}

impl<B: Backend> HeadWeights<B> {
    pub(super) fn load(loader: &Loader<'_, B>, config: &EncoderConfig) -> Result<Self, LoadError> {
        let names = Names::of(&config.family);
        let (pooling, steps) = match &config.head {
            Head::Embedding(embedding) => (Some(embedding.pooling), sentence(loader, embedding)?),
            Head::Classification(own) => {
                let pooling = match &names.before_judge {
                    None => Pooling::Last,
                    Some(_) if own.judges_mean => Pooling::Mean,
                    Some(_) => Pooling::First,
                };
                let before = names.before_judge.iter().map(|before| hidden(loader, config, before));
                let judge = plain(loader, names.judge, own.labels.len(), config.hidden);
                (Some(pooling), before.chain([judge]).collect::<Result<_, _>>()?)
            }
            Head::TokenClassification(labels) => (None, tokens(loader, config, &names, "classifier", labels.len())?),
            Head::QuestionAnswering => (None, tokens(loader, config, &names, names.answer, 2)?),
            Head::FillMask => (None, fill_mask(loader, config, &names)?),
        };
        Ok(Self { pooling, steps })
    }

    /// A row for each text, or for each token that is wanted.
    pub(super) fn apply(
        &self,
        backend: &B,
        rows: &B::Tensor,
        batch: &PackedBatch,
        tokens: &B::Matrix,
    ) -> Result<Vec<Vec<f32>>, BackendError> {
        let mut x = match self.pooling {
            None => backend.rows(rows, &batch.wanted)?,
            Some(Pooling::First) => backend.rows(rows, &batch.first_rows())?,
            Some(pooling) => {
                let pooled = pool::pool(&backend.to_host(rows)?, &batch.lengths, pooling);
                put(backend, &pooled, batch.lengths.len())?
            }
        };
        let n_rows = if self.pooling.is_some() { batch.lengths.len() } else { batch.wanted.len() };
        for step in &self.steps {
            match step {
                Step::Dense(dense) => x = dense.apply(backend, &x)?,
                Step::Vocabulary { bias } => x = backend.linear(&x, tokens, bias.as_ref())?,
                Step::Normalize => {
                    let mut values = backend.to_host(&x)?;
                    let width = values.len() / n_rows.max(1);
                    values.chunks_mut(width.max(1)).for_each(pool::normalise);
                    x = put(backend, &values, n_rows)?;
                }
            }
        }
        let values = backend.to_host(&x)?;
        Ok(values.chunks((values.len() / n_rows.max(1)).max(1)).map(<[f32]>::to_vec).collect())
    }
}

/// Rows that were made on the host.
fn put<B: Backend>(backend: &B, values: &[f32], n_rows: usize) -> Result<B::Tensor, BackendError> {
    let width = values.len() / n_rows.max(1);
    let table = backend.matrix(&RawTensor::from_f32("pooled", &[n_rows, width], values))?;
    let ids: Vec<u32> = (0..n_rows).map(|id| u32::try_from(id).unwrap_or(u32::MAX)).collect();
    backend.embedding(&table, &ids)
}

fn sentence<B: Backend>(loader: &Loader<'_, B>, embedding: &SentenceEmbedding) -> Result<Vec<Step<B>>, LoadError> {
    let step = |stage: &Stage| match stage {
        Stage::Normalize => Ok(Step::Normalize),
        Stage::Dense { name, n_in, n_out, activation } => {
            let linear = loader.linear(name, [*n_out, *n_in])?;
            Ok(Step::Dense(Dense { linear, activation: *activation, norm: None }))
        }
    };
    embedding.stages.iter().map(step).collect()
}

fn plain<B: Backend>(loader: &Loader<'_, B>, name: &str, n_out: usize, n_in: usize) -> Result<Step<B>, LoadError> {
    let linear = loader.linear(name, [n_out, n_in])?;
    Ok(Step::Dense(Dense { linear, activation: None, norm: None }))
}

/// The hidden step before scores.
fn hidden<B: Backend>(loader: &Loader<'_, B>, config: &EncoderConfig, own: &Hidden) -> Result<Step<B>, LoadError> {
    let below = if own.is_in_trunk { trunk_prefix(loader) } else { "" };
    // Fill-mask heads go back to the width of the table of tokens.
    let n_out = if own.is_as_wide_as_tokens { config.embedding } else { config.hidden };
    let norm = |name: &&str| Norm::load(loader, name, n_out, config.norm_epsilon);
    Ok(Step::Dense(Dense {
        linear: loader.linear(&format!("{below}{}", own.dense), [n_out, config.hidden])?,
        activation: Some(own.activation.unwrap_or(config.activation)),
        norm: own.norm.as_ref().map(norm).transpose()?,
    }))
}

fn tokens<B: Backend>(
    loader: &Loader<'_, B>,
    config: &EncoderConfig,
    names: &Names,
    name: &str,
    n_out: usize,
) -> Result<Vec<Step<B>>, LoadError> {
    let mut steps = Vec::new();
    if let Some(before) = &names.before_tokens {
        steps.push(hidden(loader, config, before)?);
    }
    steps.push(plain(loader, name, n_out, config.hidden)?);
    Ok(steps)
}

fn fill_mask<B: Backend>(
    loader: &Loader<'_, B>,
    config: &EncoderConfig,
    names: &Names,
) -> Result<Vec<Step<B>>, LoadError> {
    let bias = names.vocabulary_biases.iter().find(|name| loader.has(name));
    let bias = bias.map(|name| loader.vector(name, config.vocabulary)).transpose()?;
    Ok(vec![hidden(loader, config, &names.before_vocabulary)?, Step::Vocabulary { bias }])
}
