//! The llama family: Llama 1 to 3, Mistral, Qwen2, SmolLM.
//!
//! Pre-norm decoder layers: RMS norm, rotary attention with shared key-value heads, SiLU-gated feed-forward part.

use alcazar_core::{
    Activation, AttentionSpec, Backend, BackendError, Batch, CacheShape, DecoderConfig, Gating, Logits, Model,
    RopeStyle, WeightNames, WeightSource, backend::CacheSpec,
};

use crate::{
    LoadError,
    weights::{Linear, Loader},
};

/// A loaded model.
pub(crate) struct Llama<B: Backend> {
    backend: B,
    config: Shape,
    frequencies: Vec<f32>,
    embedding: B::Matrix,
    layers: Vec<Layer<B>>,
    norm: B::Vector,
    /// `None`: the embedding's own table.
    output: Option<B::Matrix>,
    cache: B::Cache,
    cache_shape: CacheShape,
}

struct Shape {
    vocabulary: usize,
    head_dim: usize,
    norm_epsilon: f32,
    style: RopeStyle,
    attention: AttentionSpec<'static>,
}

struct Layer<B: Backend> {
    attention_norm: B::Vector,
    q: Linear<B>,
    k: Linear<B>,
    v: Linear<B>,
    attention_output: Linear<B>,
    feed_forward_norm: B::Vector,
    gate: Linear<B>,
    up: Linear<B>,
    down: Linear<B>,
}

/// Names of the tensors, without their layer's prefix and without `.weight`.
struct Names {
    embedding: &'static str,
    norm: &'static str,
    output: &'static str,
    layer: &'static str,
    attention_norm: &'static str,
    q: &'static str,
    k: &'static str,
    v: &'static str,
    attention_output: &'static str,
    feed_forward_norm: &'static str,
    gate: &'static str,
    up: &'static str,
    down: &'static str,
}

const GGUF: Names = Names {
    embedding: "token_embd",
    norm: "output_norm",
    output: "output",
    layer: "blk",
    attention_norm: "attn_norm",
    q: "attn_q",
    k: "attn_k",
    v: "attn_v",
    attention_output: "attn_output",
    feed_forward_norm: "ffn_norm",
    gate: "ffn_gate",
    up: "ffn_up",
    down: "ffn_down",
};

const HUGGING_FACE: Names = Names {
    embedding: "model.embed_tokens",
    norm: "model.norm",
    output: "lm_head",
    layer: "model.layers",
    attention_norm: "input_layernorm",
    q: "self_attn.q_proj",
    k: "self_attn.k_proj",
    v: "self_attn.v_proj",
    attention_output: "self_attn.o_proj",
    feed_forward_norm: "post_attention_layernorm",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
};

/// Llama 3's factors on the frequencies, in GGUF files.
const FREQUENCY_FACTORS: &str = "rope_freqs.weight";

impl<B: Backend> Llama<B> {
    pub(crate) fn load(
        backend: B,
        config: &DecoderConfig,
        source: &dyn WeightSource,
        cache_shape: CacheShape,
    ) -> Result<Self, LoadError> {
        let names = match config.names {
            WeightNames::Gguf => &GGUF,
            WeightNames::HuggingFace => &HUGGING_FACE,
        };
        let loader = Loader { backend: &backend, source };
        let table = [config.vocabulary, config.hidden];
        let embedding = loader.matrix(&weight(names.embedding), table)?;
        let norm = loader.vector(&weight(names.norm), config.hidden)?;
        let output_name = weight(names.output);
        let output = loader.has(&output_name).then(|| loader.matrix(&output_name, table)).transpose()?;
        let layers =
            (0..config.n_layers).map(|nth| Layer::load(&loader, names, config, nth)).collect::<Result<_, _>>()?;
        let mut frequencies = config.rope.frequencies();
        if loader.has(FREQUENCY_FACTORS) {
            let factors = loader.floats(FREQUENCY_FACTORS, frequencies.len())?;
            frequencies.iter_mut().zip(factors).for_each(|(frequency, factor)| *frequency /= factor);
        }
        let spec = CacheSpec {
            n_layers: config.n_layers,
            n_kv_heads: config.n_kv_heads,
            head_dim: config.head_dim,
            shape: cache_shape,
        };
        let cache =
            backend.cache(&spec).map_err(|source| LoadError::Device { name: "the cache".to_owned(), source })?;
        let config = Shape::new(config);
        Ok(Self { backend, config, frequencies, embedding, layers, norm, output, cache, cache_shape })
    }
}

impl Shape {
    fn new(config: &DecoderConfig) -> Self {
        Self {
            vocabulary: config.vocabulary,
            head_dim: config.head_dim,
            norm_epsilon: config.norm_epsilon,
            style: config.rope.style,
            attention: AttentionSpec::plain(0, config.n_heads, config.n_kv_heads, config.head_dim),
        }
    }
}

fn weight(name: &str) -> String {
    format!("{name}.weight")
}

impl<B: Backend> Layer<B> {
    fn load(loader: &Loader<'_, B>, names: &Names, config: &DecoderConfig, nth: usize) -> Result<Self, LoadError> {
        let name = |part: &str| format!("{}.{nth}.{part}", names.layer);
        let norm = |part: &str| loader.vector(&weight(&name(part)), config.hidden);
        let linear = |part: &str, n_out: usize, n_in: usize| loader.linear(&name(part), [n_out, n_in]);
        let (hidden, inner) = (config.hidden, config.feed_forward);
        Ok(Self {
            attention_norm: norm(names.attention_norm)?,
            q: linear(names.q, config.q_width(), hidden)?,
            k: linear(names.k, config.kv_width(), hidden)?,
            v: linear(names.v, config.kv_width(), hidden)?,
            attention_output: linear(names.attention_output, hidden, config.q_width())?,
            feed_forward_norm: norm(names.feed_forward_norm)?,
            gate: linear(names.gate, inner, hidden)?,
            up: linear(names.up, inner, hidden)?,
            down: linear(names.down, hidden, inner)?,
        })
    }
}

impl<B: Backend> Layer<B> {
    /// # Shapes
    /// - x: `[rows, hidden]`; output: `[rows, n_heads · head_dim]`
    fn attend(
        &self,
        backend: &B,
        x: &B::Tensor,
        angles: &B::Angles,
        step: (&Shape, AttentionSpec<'_>, &Batch),
        cache: &mut B::Cache,
    ) -> Result<B::Tensor, BackendError> {
        let (shape, spec, batch) = step;
        let x = backend.rms_norm(x, &self.attention_norm, shape.norm_epsilon)?;
        let q = backend.rope(self.q.apply(backend, &x)?, angles, shape.head_dim, shape.style)?;
        let k = backend.rope(self.k.apply(backend, &x)?, angles, shape.head_dim, shape.style)?;
        let v = self.v.apply(backend, &x)?;
        backend.attention([&q, &k, &v], cache, &spec, batch)
    }

    /// # Shapes
    /// - x (the residual stream) and output: `[rows, hidden]`; attended: `[rows, n_heads · head_dim]`
    fn finish(&self, backend: &B, x: B::Tensor, attended: &B::Tensor, epsilon: f32) -> Result<B::Tensor, BackendError> {
        let x = backend.add(x, &self.attention_output.apply(backend, attended)?)?;
        let inner = backend.rms_norm(&x, &self.feed_forward_norm, epsilon)?;
        let gate = self.gate.apply(backend, &inner)?;
        let inner = backend.gate(gate, &self.up.apply(backend, &inner)?, Gating::Of(Activation::Silu))?;
        backend.add(x, &self.down.apply(backend, &inner)?)
    }
}

impl<B: Backend> Model for Llama<B> {
    fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    fn cache_shape(&self) -> CacheShape {
        self.cache_shape
    }

    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        batch.check(&self.cache_shape, self.config.vocabulary)?;
        let (backend, epsilon) = (&self.backend, self.config.norm_epsilon);
        let mut x = backend.embedding(&self.embedding, &batch.ids())?;
        let angles = backend.angles(&batch.positions(), &self.frequencies, 1.0)?;
        let last = self.layers.len().saturating_sub(1);
        for (nth, layer) in self.layers.iter().enumerate() {
            let spec = AttentionSpec { layer: nth, ..self.config.attention };
            let step = (&self.config, spec, batch);
            let mut attended = layer.attend(backend, &x, &angles, step, &mut self.cache)?;
            if nth == last {
                // Keys and values of all rows are stored; from here on only rows whose scores are wanted matter.
                if batch.logit_rows.is_empty() {
                    return Logits::new(self.config.vocabulary, Vec::new());
                }
                attended = backend.rows(&attended, &batch.logit_rows)?;
                x = backend.rows(&x, &batch.logit_rows)?;
            }
            x = layer.finish(backend, x, &attended, epsilon)?;
        }
        let x = backend.rms_norm(&x, &self.norm, epsilon)?;
        let scores = backend.linear(&x, self.output.as_ref().unwrap_or(&self.embedding), None)?;
        Logits::new(self.config.vocabulary, backend.to_host(&scores)?)
    }
}
