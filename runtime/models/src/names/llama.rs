//! Llama's names, and those that were made after them.

use super::{Experts, Inner, Names, Projections};

/// Llama 1 to 3, Mistral, Qwen2, Qwen3, SmolLM2 and 3.
pub(super) const LLAMA: Names = Names {
    roots: &["model.", "", "model.language_model.", "language_model.model."],
    embedding: "embed_tokens",
    embedding_norm: "",
    positions: "",
    project: ["", ""],
    norm: "norm",
    output: "lm_head",
    layer: "layers",
    norms: ["input_layernorm", "", "post_attention_layernorm", ""],
    projections: Projections::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    attention_output: "self_attn.o_proj",
    qk_norms: ["self_attn.q_norm", "self_attn.k_norm"],
    sinks: "self_attn.sinks",
    feed_forward: Inner::Separate(["mlp.gate_proj", "mlp.up_proj"]),
    down: "mlp.down_proj",
    experts: Experts::Each {
        router: "mlp.gate",
        parts: ["mlp.experts.{}.gate_proj", "mlp.experts.{}.up_proj", "mlp.experts.{}.down_proj"],
    },
    is_transposed: false,
};

pub(super) const GEMMA: Names = Names {
    norms: ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"],
    ..LLAMA
};

pub(super) const OLMO2: Names =
    Names { norms: ["", "post_attention_layernorm", "", "post_feedforward_layernorm"], ..LLAMA };

pub(super) const PHI3: Names = Names {
    projections: Projections::Stacked("self_attn.qkv_proj"),
    feed_forward: Inner::Stacked("mlp.gate_up_proj"),
    ..LLAMA
};

pub(super) const GLM4: Names = Names {
    norms: ["input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm"],
    feed_forward: Inner::Stacked("mlp.gate_up_proj"),
    ..LLAMA
};

pub(super) const STARCODER2: Names =
    Names { feed_forward: Inner::Separate(["", "mlp.c_fc"]), down: "mlp.c_proj", ..LLAMA };

pub(super) const MIXTRAL: Names = Names {
    experts: Experts::Each {
        router: "block_sparse_moe.gate",
        parts: ["block_sparse_moe.experts.{}.w1", "block_sparse_moe.experts.{}.w3", "block_sparse_moe.experts.{}.w2"],
    },
    ..LLAMA
};

pub(super) const QWEN3_MOE: Names = LLAMA;

pub(super) const GPT_OSS: Names = Names {
    experts: Experts::Paired {
        router: "mlp.router",
        gate_up: "mlp.experts.gate_up_proj",
        down: "mlp.experts.down_proj",
    },
    ..LLAMA
};
