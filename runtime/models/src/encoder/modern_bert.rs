//! ModernBERT: norms before each part, rotary positions, a gated feed-forward part, and windows in most layers.

use alcazar_core::{
    Activation, Backend, BackendError, EncoderConfig, Gating, PackedAttention, PackedBatch, RopeConfig, RopeScaling,
    RopeStyle, encoder::ModernBert,
};

use super::{Norm, Trunk, prefix};
use crate::{
    LoadError,
    weights::{Linear, Loader},
};

pub(super) struct ModernBertTrunk<B: Backend> {
    tokens: B::Matrix,
    embedding_norm: Norm<B>,
    layers: Vec<Layer<B>>,
    norm: Norm<B>,
    n_heads: usize,
    head_dim: usize,
    reach: usize,
    global_frequencies: Vec<f32>,
    local_frequencies: Vec<f32>,
    activation: Activation,
}

struct Layer<B: Backend> {
    /// The first layer has none: the embedding is normed already.
    attention_norm: Option<Norm<B>>,
    q: Linear<B>,
    k: Linear<B>,
    v: Linear<B>,
    attention_output: Linear<B>,
    feed_forward_norm: Norm<B>,
    gate: Linear<B>,
    up: Linear<B>,
    down: Linear<B>,
    is_global: bool,
}

impl<B: Backend> ModernBertTrunk<B> {
    pub(super) fn load(loader: &Loader<'_, B>, config: &EncoderConfig, own: &ModernBert) -> Result<Self, LoadError> {
        let below = prefix(loader, &["", "model."], "embeddings.tok_embeddings.weight");
        let norm = |name: &str| Norm::load(loader, &format!("{below}{name}"), config.hidden, config.norm_epsilon);
        let frequencies = |theta: f32| {
            let (dims, style, scaling) = (config.head_dim(), RopeStyle::Halves, RopeScaling::None);
            RopeConfig { theta, dims, style, scaling }.table(config.n_positions).frequencies
        };
        let layers = own.is_global.iter().enumerate();
        Ok(Self {
            tokens: loader
                .matrix(&format!("{below}embeddings.tok_embeddings.weight"), [config.vocabulary, config.hidden])?,
            embedding_norm: norm("embeddings.norm")?,
            layers: layers
                .map(|(nth, is_global)| Layer::load(loader, &format!("{below}layers.{nth}"), config, *is_global))
                .collect::<Result<_, _>>()?,
            norm: norm("final_norm")?,
            n_heads: config.n_heads,
            head_dim: config.head_dim(),
            reach: own.reach,
            global_frequencies: frequencies(own.global_theta),
            local_frequencies: frequencies(own.local_theta),
            activation: config.activation,
        })
    }

    fn attention<'a>(&self, lengths: &'a [usize], is_global: bool) -> PackedAttention<'a, B::Tensor> {
        #[expect(clippy::cast_precision_loss, reason = "a head has far fewer than 2^23 elements")]
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        let window = (!is_global).then_some(self.reach);
        let (n_heads, head_dim) = (self.n_heads, self.head_dim);
        PackedAttention { lengths, n_heads, head_dim, scale, window, bias: None, relative: None }
    }
}

impl<B: Backend> Trunk<B> for ModernBertTrunk<B> {
    fn rows(&self, backend: &B, batch: &PackedBatch) -> Result<B::Tensor, BackendError> {
        let positions = batch.positions(0);
        let global = backend.angles(&positions, &self.global_frequencies, 1.0)?;
        let local = backend.angles(&positions, &self.local_frequencies, 1.0)?;
        let mut x = self.embedding_norm.apply(backend, &backend.embedding(&self.tokens, &batch.tokens)?)?;
        for layer in &self.layers {
            let angles = if layer.is_global { &global } else { &local };
            let attention = self.attention(&batch.lengths, layer.is_global);
            x = layer.attend(backend, x, angles, &attention)?;
            x = layer.feed_forward(backend, x, self.activation)?;
        }
        self.norm.apply(backend, &x)
    }

    fn tokens(&self) -> &B::Matrix {
        &self.tokens
    }
}

impl<B: Backend> Layer<B> {
    fn load(loader: &Loader<'_, B>, at: &str, config: &EncoderConfig, is_global: bool) -> Result<Self, LoadError> {
        let (hidden, inner) = (config.hidden, config.feed_forward);
        let norm = |name: &str| Norm::load(loader, &format!("{at}.{name}"), hidden, config.norm_epsilon);
        let linear = |name: &str, shape| loader.linear(&format!("{at}.{name}"), shape);
        let part = |name: &str, nth: usize, shape: [usize; 2], n_parts: usize| {
            let whole = loader.raw_linear(&format!("{at}.{name}"), [n_parts * shape[0], shape[1]])?;
            loader.put(&whole.rows(nth * shape[0]..(nth + 1) * shape[0])?)
        };
        let has_norm = loader.has(&format!("{at}.attn_norm.weight"));
        Ok(Self {
            attention_norm: has_norm.then(|| norm("attn_norm")).transpose()?,
            q: part("attn.Wqkv", 0, [hidden, hidden], 3)?,
            k: part("attn.Wqkv", 1, [hidden, hidden], 3)?,
            v: part("attn.Wqkv", 2, [hidden, hidden], 3)?,
            attention_output: linear("attn.Wo", [hidden, hidden])?,
            feed_forward_norm: norm("mlp_norm")?,
            gate: part("mlp.Wi", 0, [inner, hidden], 2)?,
            up: part("mlp.Wi", 1, [inner, hidden], 2)?,
            down: linear("mlp.Wo", [hidden, inner])?,
            is_global,
        })
    }

    /// # Shapes
    /// - x (the residual stream) and output: `[rows, hidden]`
    fn attend(
        &self,
        backend: &B,
        x: B::Tensor,
        angles: &B::Angles,
        attention: &PackedAttention<'_, B::Tensor>,
    ) -> Result<B::Tensor, BackendError> {
        let normed = self.attention_norm.as_ref().map(|norm| norm.apply(backend, &x)).transpose()?;
        let inner = normed.as_ref().unwrap_or(&x);
        let [q, k, v] = Linear::apply_each([&self.q, &self.k, &self.v], backend, inner)?;
        let rotated = |x| backend.rope(x, angles, attention.head_dim, RopeStyle::Halves);
        let (q, k) = (rotated(q)?, rotated(k)?);
        let attended = backend.packed_attention([&q, &k, &v], attention)?;
        backend.add(x, &self.attention_output.apply(backend, &attended)?)
    }

    /// # Shapes
    /// - x (the residual stream) and output: `[rows, hidden]`
    fn feed_forward(&self, backend: &B, x: B::Tensor, activation: Activation) -> Result<B::Tensor, BackendError> {
        let inner = self.feed_forward_norm.apply(backend, &x)?;
        let [gate, up] = Linear::apply_each([&self.gate, &self.up], backend, &inner)?;
        let inner = backend.gate(gate, &up, Gating::Of(activation))?;
        backend.add(x, &self.down.apply(backend, &inner)?)
    }
}
