//! What a decoder is made of, whichever file said so. Families differ by these data and by the names of their tensors.

mod parts;
mod rope;

pub use parts::{
    AttentionConfig, BlockConfig, FeedForward, InputConfig, LayerConfig, NormKind, OutputConfig, Position, QkNorm,
    Residual, Rotation, Routing, alibi_slopes,
};
pub use rope::{RopeConfig, RopeScaling, RopeTable, yarn_magnitude};

/// Families of decoders that `models` knows the tensor names of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 1 to 3, Mistral, Qwen2, Qwen3, SmolLM2 and 3: separate projections, RMS norms before each part.
    Llama,
    /// Gemma 2 and 3: norms before and after each part.
    Gemma,
    /// OLMo 2: norms after each part alone.
    Olmo2,
    /// Phi-3 and 4: fused projections.
    Phi3,
    /// GLM-4: norms before and after each part, gate and up in one matrix.
    Glm4,
    /// StarCoder 2: layer norms, two matrices without a gate.
    Starcoder2,
    /// GPT-2, transposed matrices; and GPTBigCode.
    Gpt2,
    /// GPTBigCode (StarCoder 1): GPT-2 with shared keys and values, matrices not transposed.
    GptBigCode,
    /// GPT-NeoX, Pythia.
    GptNeoX,
    /// Mixtral.
    Mixtral,
    /// Qwen3 with experts.
    Qwen3Moe,
    /// OPT.
    Opt,
    /// BLOOM.
    Bloom,
    /// Falcon, its old and its new layers.
    Falcon,
    /// GPT-J.
    GptJ,
    /// GPT-Neo.
    GptNeo,
    /// gpt-oss.
    GptOss,
}

/// Whose tensor names the files use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightNames {
    /// `blk.0.attn_q.weight`.
    Gguf,
    /// `model.layers.0.self_attn.q_proj.weight`.
    HuggingFace,
}

/// A decoder. Readers of `formats` check the bounds, so that products of the dimensions do not overflow.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Whose tensors these are.
    pub family: Family,
    /// As the file names it, for example `llama`.
    pub architecture: String,
    /// Whose tensor names the files use.
    pub names: WeightNames,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the feed-forward part; of each expert, where there are experts.
    pub feed_forward: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads.
    pub n_kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Longest context that is served, in tokens; as read, the one the model was made for.
    pub context_length: usize,
    /// How the parts of a layer are put together.
    pub block: BlockConfig,
    /// Where a token's position enters.
    pub position: Position,
    /// What is common to all attention layers.
    pub attention: AttentionConfig,
    /// What the feed-forward part computes.
    pub feed_forward_kind: FeedForward,
    /// The layers, in their order.
    pub layers: Vec<LayerConfig>,
    /// What comes before the first layer.
    pub input: InputConfig,
    /// What comes after the last.
    pub output: OutputConfig,
}

impl DecoderConfig {
    /// Layers.
    pub const fn n_layers(&self) -> usize {
        self.layers.len()
    }

    /// Factor on the scores of a layer.
    pub fn scale_of_layer(&self, nth: usize) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^23 layers")]
        let by = if self.attention.scale_by_layer { (nth + 1) as f32 } else { 1.0 };
        self.attention.scale / by
    }

    /// Width of all query heads.
    pub const fn q_width(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Width of all key (or value) heads.
    pub const fn kv_width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }
}
