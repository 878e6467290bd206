//! The encoders: a trunk of layers that makes a row of each token, and a head that says what the rows mean.

mod decoder;
mod distances;
mod embeddings;
mod head;
mod modern_bert;
mod post_norm;

#[cfg(test)]
mod tests;

use alcazar_core::{
    Activation, Backend, BackendError, Encoder, EncoderConfig, EncoderFamily, PackedBatch, WeightSource,
};

use self::{decoder::DecoderTrunk, head::HeadWeights, modern_bert::ModernBertTrunk, post_norm::PostNormTrunk};
use crate::{
    LoadError,
    weights::{Linear, Loader},
};

/// Makes the encoder that `config` describes.
pub fn load_encoder<B: Backend>(
    backend: B,
    config: &EncoderConfig,
    source: &dyn WeightSource,
) -> Result<Box<dyn Encoder>, LoadError>
where
    B::Tensor: 'static,
{
    let loader = Loader { backend: &backend, source };
    let trunk: Box<dyn Trunk<B>> = match &config.family {
        EncoderFamily::Decoder(own) => Box::new(DecoderTrunk::load(&loader, own)?),
        EncoderFamily::ModernBert(own) => Box::new(ModernBertTrunk::load(&loader, config, own)?),
        _ => Box::new(PostNormTrunk::load(&loader, config)?),
    };
    let head = HeadWeights::load(&loader, config)?;
    Ok(Box::new(Loaded { config: config.clone(), backend, trunk, head }))
}

/// Everything but the head.
trait Trunk<B: Backend>: Send {
    /// The last layer's rows, normed as the family has it: `[rows, hidden]`.
    fn rows(&self, backend: &B, batch: &PackedBatch) -> Result<B::Tensor, BackendError>;

    /// The table of tokens, which heads that fill masks share: `[vocabulary, embedding]`.
    fn tokens(&self) -> &B::Matrix;
}

struct Loaded<B: Backend> {
    config: EncoderConfig,
    backend: B,
    trunk: Box<dyn Trunk<B>>,
    head: HeadWeights<B>,
}

impl<B: Backend> Encoder for Loaded<B> {
    fn config(&self) -> &EncoderConfig {
        &self.config
    }

    fn forward(&mut self, batch: &PackedBatch) -> Result<Vec<Vec<f32>>, BackendError> {
        batch.check(&self.config)?;
        if batch.lengths.is_empty() || (self.config.head.is_per_token() && batch.wanted.is_empty()) {
            return Ok(Vec::new());
        }
        let rows = self.trunk.rows(&self.backend, batch)?;
        self.head.apply(&self.backend, &rows, batch, self.trunk.tokens())
    }
}

/// Gain and, mostly, bias of a layer norm.
struct Norm<B: Backend> {
    gain: B::Vector,
    bias: Option<B::Vector>,
    epsilon: f32,
}

impl<B: Backend> Norm<B> {
    fn load(loader: &Loader<'_, B>, name: &str, width: usize, epsilon: f32) -> Result<Self, LoadError> {
        let bias = format!("{name}.bias");
        Ok(Self {
            gain: loader.vector(&format!("{name}.weight"), width)?,
            bias: loader.has(&bias).then(|| loader.vector(&bias, width)).transpose()?,
            epsilon,
        })
    }

    fn apply(&self, backend: &B, x: &B::Tensor) -> Result<B::Tensor, BackendError> {
        backend.layer_norm(x, &self.gain, self.bias.as_ref(), self.epsilon)
    }
}

/// A matrix, an activation, a norm: what heads are made of.
struct Dense<B: Backend> {
    linear: Linear<B>,
    activation: Option<Activation>,
    norm: Option<Norm<B>>,
}

impl<B: Backend> Dense<B> {
    fn apply(&self, backend: &B, x: &B::Tensor) -> Result<B::Tensor, BackendError> {
        let mut x = self.linear.apply(backend, x)?;
        if let Some(activation) = self.activation {
            x = backend.activate(x, activation)?;
        }
        match &self.norm {
            Some(norm) => norm.apply(backend, &x),
            None => Ok(x),
        }
    }
}

/// The first of the prefixes under which the files have `name`; checkpoints with a head put the trunk below its family's.
fn prefix<B: Backend>(loader: &Loader<'_, B>, prefixes: &[&'static str], name: &str) -> &'static str {
    prefixes.iter().find(|prefix| loader.has(&format!("{prefix}{name}"))).copied().unwrap_or_default()
}
