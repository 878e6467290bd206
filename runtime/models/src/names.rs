//! What the tensors of each family are called, and how the files store them. That is all a family is: what is computed
//! with them says its configuration.

mod gguf;
mod gpt;
mod llama;

use alcazar_core::{
    DecoderConfig, WeightNames,
    config::{Family, Residual},
};

/// Names without `.weight`; those of layers without the layer's prefix.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    /// Prefixes of all names but the output's: the first that the files use counts.
    pub(crate) roots: &'static [&'static str],
    pub(crate) embedding: &'static str,
    pub(crate) embedding_norm: &'static str,
    pub(crate) positions: &'static str,
    /// From the embedding's width to the residual stream's, and back.
    pub(crate) project: [&'static str; 2],
    pub(crate) norm: &'static str,
    pub(crate) output: &'static str,
    /// What a layer's number follows.
    pub(crate) layer: &'static str,
    /// Norms before attention, after it, before the feed-forward part, after it.
    pub(crate) norms: [&'static str; 4],
    pub(crate) projections: Projections,
    pub(crate) attention_output: &'static str,
    /// Norms of queries and of keys.
    pub(crate) qk_norms: [&'static str; 2],
    /// With its ending, which not all files give it.
    pub(crate) sinks: &'static str,
    pub(crate) feed_forward: Inner,
    pub(crate) down: &'static str,
    pub(crate) experts: Experts,
    /// Matrices of layers are `[in, out]`.
    pub(crate) is_transposed: bool,
}

/// Where queries, keys and values come from.
#[derive(Clone, Copy)]
pub(crate) enum Projections {
    /// A matrix each.
    Separate([&'static str; 3]),
    /// One matrix: all queries' rows, all keys', all values'.
    Stacked(&'static str),
    /// One matrix: for each key-value head its queries' rows, its key's, its value's.
    Grouped(&'static str),
    /// The second, if the files have it, else the first.
    Either([&'static str; 3], &'static str),
}

/// What leads into the feed-forward part.
#[derive(Clone, Copy)]
pub(crate) enum Inner {
    /// Gate (where there is one) and up.
    Separate([&'static str; 2]),
    /// One matrix: the gate's rows, then the other's.
    Stacked(&'static str),
}

/// Experts' tensors.
#[derive(Clone, Copy)]
pub(crate) enum Experts {
    /// Three matrices for each: gate, up, down; `{}` is its number.
    Each { router: &'static str, parts: [&'static str; 3] },
    /// Three tensors for all: `[experts, out, in]`, and biases `[experts, out]`.
    Stacked { router: &'static str, parts: [&'static str; 3] },
    /// Two tensors for all, gate and up in turns: `[experts, in, out]`, or MXFP4 as blocks and scales.
    Paired { router: &'static str, gate_up: &'static str, down: &'static str },
}

/// The names in a model's files.
pub(crate) fn names(config: &DecoderConfig) -> Names {
    if config.names == WeightNames::Gguf { gguf::names(config) } else { hugging_face(config) }
}

/// The names in Hugging Face's modules, whatever files the model comes from.
pub(crate) fn hugging_face(config: &DecoderConfig) -> Names {
    match config.family {
        Family::Llama => llama::LLAMA,
        Family::Gemma => llama::GEMMA,
        Family::Olmo2 => llama::OLMO2,
        Family::Phi3 => llama::PHI3,
        Family::Glm4 => llama::GLM4,
        Family::Starcoder2 => llama::STARCODER2,
        Family::Mixtral => llama::MIXTRAL,
        Family::Qwen3Moe => llama::QWEN3_MOE,
        Family::GptOss => llama::GPT_OSS,
        Family::Gpt2 => gpt::GPT2,
        Family::GptBigCode => gpt::GPT_BIG_CODE,
        Family::GptNeoX => gpt::GPT_NEOX,
        Family::Opt => gpt::OPT,
        Family::Bloom => gpt::BLOOM,
        Family::Falcon if config.block.residual == Residual::Parallel => gpt::FALCON_TWO_NORMS,
        Family::Falcon => gpt::FALCON,
        Family::GptJ => gpt::GPT_J,
        Family::GptNeo => gpt::GPT_NEO,
    }
}
