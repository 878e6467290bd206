//! Trunks with a norm after each part: BERT, RoBERTa, DistilBERT, ELECTRA, ALBERT, MPNet, DeBERTa.
//!
//! They differ in names, in tables, and in what attention knows of distances.

mod convolution;
mod names;
mod relative;

use alcazar_core::{
    Activation, Backend, BackendError, DistanceBias, EncoderConfig, EncoderFamily, PackedAttention, PackedBatch,
};

use self::{
    convolution::Convolution,
    names::Names,
    relative::{DistanceTable, Relative},
};
use super::{
    Norm, Trunk,
    embeddings::{Embeddings, trunk_prefix},
};
use crate::{
    LoadError,
    weights::{Linear, Loader},
};

pub(super) struct PostNormTrunk<B: Backend> {
    embeddings: Embeddings<B>,
    /// Sets of weights; fewer than layers where layers share them.
    layers: Vec<Layer<B>>,
    n_layers: usize,
    n_heads: usize,
    head_dim: usize,
    scale: f32,
    activation: Activation,
    distances: DistanceTable,
    convolution: Option<Convolution<B>>,
}

struct Layer<B: Backend> {
    q: Linear<B>,
    k: Linear<B>,
    v: Linear<B>,
    attention_output: Linear<B>,
    attention_norm: Norm<B>,
    inner: Linear<B>,
    output: Linear<B>,
    output_norm: Norm<B>,
    relative: Option<Relative<B>>,
}

impl<B: Backend> PostNormTrunk<B> {
    pub(super) fn load(loader: &Loader<'_, B>, config: &EncoderConfig) -> Result<Self, LoadError> {
        let below = trunk_prefix(loader);
        let names = Names::of(&config.family);
        let n_sets = match config.family {
            EncoderFamily::Albert { n_groups } => n_groups,
            _ => config.n_layers,
        };
        let relative = relative::table(loader, below, config)?;
        let layers = (0..n_sets)
            .map(|nth| Layer::load(loader, &format!("{below}{}", names.layer(nth)), names, config, relative.as_ref()));
        let convolution = match &config.family {
            EncoderFamily::Deberta(own) => {
                own.convolution.map(|shape| Convolution::load(loader, below, config, shape)).transpose()?
            }
            _ => None,
        };
        Ok(Self {
            embeddings: Embeddings::load(loader, config)?,
            layers: layers.collect::<Result<_, _>>()?,
            n_layers: config.n_layers,
            n_heads: config.n_heads,
            head_dim: config.head_dim(),
            scale: relative::scale(config),
            activation: config.activation,
            distances: DistanceTable::load(loader, below, config)?,
            convolution,
        })
    }

    fn attention<'a>(&'a self, batch: &'a PackedBatch, layer: &'a Layer<B>) -> PackedAttention<'a, B::Tensor> {
        PackedAttention {
            lengths: &batch.lengths,
            n_heads: self.n_heads,
            head_dim: self.head_dim,
            scale: self.scale,
            window: None,
            bias: match &self.distances {
                DistanceTable::Bias { values, reach } => Some(DistanceBias { values, reach: *reach }),
                _ => None,
            },
            relative: match (&self.distances, &layer.relative) {
                (DistanceTable::Buckets { buckets, reach }, Some(relative)) => Some(relative.at(buckets, *reach)),
                _ => None,
            },
        }
    }
}

impl<B: Backend> Trunk<B> for PostNormTrunk<B> {
    fn rows(&self, backend: &B, batch: &PackedBatch) -> Result<B::Tensor, BackendError> {
        let first = self.embeddings.rows(backend, batch)?;
        let mut convolved = match &self.convolution {
            Some(convolution) => Some(convolution.rows(backend, &first, batch)?),
            None => None,
        };
        let mut x = first;
        for nth in 0..self.n_layers {
            // Consecutive layers share a set.
            let Some(layer) = self.layers.get(nth * self.layers.len() / self.n_layers) else { break };
            x = layer.rows(backend, x, &self.attention(batch, layer), self.activation)?;
            if let (Some(convolution), Some(convolved)) = (&self.convolution, convolved.take()) {
                x = convolution.join(backend, x, &convolved)?;
            }
        }
        Ok(x)
    }

    fn tokens(&self) -> &B::Matrix {
        &self.embeddings.tokens
    }
}

impl<B: Backend> Layer<B> {
    fn load(
        loader: &Loader<'_, B>,
        at: &str,
        names: &Names,
        config: &EncoderConfig,
        table: Option<&B::Tensor>,
    ) -> Result<Self, LoadError> {
        let (hidden, inner) = (config.hidden, config.feed_forward);
        let linear = |name: &str, shape| loader.linear(&format!("{at}.{name}"), shape);
        let norm = |name: &str| Norm::load(loader, &format!("{at}.{name}"), hidden, config.norm_epsilon);
        let (q, k) = (linear(names.q, [hidden, hidden])?, linear(names.k, [hidden, hidden])?);
        let relative = match (&config.family, table) {
            (EncoderFamily::Deberta(own), Some(table)) => Some(Relative::load(loader, at, own, table, [&q, &k])?),
            _ => None,
        };
        Ok(Self {
            q,
            k,
            v: linear(names.v, [hidden, hidden])?,
            attention_output: linear(names.attention_output, [hidden, hidden])?,
            attention_norm: norm(names.attention_norm)?,
            inner: linear(names.inner, [inner, hidden])?,
            output: linear(names.output, [hidden, inner])?,
            output_norm: norm(names.output_norm)?,
            relative,
        })
    }

    /// # Shapes
    /// - x and output: `[rows, hidden]`
    fn rows(
        &self,
        backend: &B,
        x: B::Tensor,
        attention: &PackedAttention<'_, B::Tensor>,
        activation: Activation,
    ) -> Result<B::Tensor, BackendError> {
        let [q, k, v] = Linear::apply_each([&self.q, &self.k, &self.v], backend, &x)?;
        let attended = backend.packed_attention([&q, &k, &v], attention)?;
        let x = backend.add(x, &self.attention_output.apply(backend, &attended)?)?;
        let x = self.attention_norm.apply(backend, &x)?;
        let inner = backend.activate(self.inner.apply(backend, &x)?, activation)?;
        let x = backend.add(x, &self.output.apply(backend, &inner)?)?;
        self.output_norm.apply(backend, &x)
    }
}
