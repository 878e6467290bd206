//! The names of GPT-2 and of those that came between it and Llama.

use super::{Experts, Inner, Names, Projections};

const NO_EXPERTS: Experts = Experts::Each { router: "", parts: ["", "", ""] };

pub(super) const GPT2: Names = Names {
    // OpenAI's own upload has no prefix.
    roots: &["transformer.", ""],
    embedding: "wte",
    embedding_norm: "",
    positions: "wpe",
    project: ["", ""],
    norm: "ln_f",
    output: "lm_head",
    layer: "h",
    norms: ["ln_1", "", "ln_2", ""],
    projections: Projections::Stacked("attn.c_attn"),
    attention_output: "attn.c_proj",
    qk_norms: ["", ""],
    sinks: "",
    feed_forward: Inner::Separate(["", "mlp.c_fc"]),
    down: "mlp.c_proj",
    experts: NO_EXPERTS,
    is_transposed: true,
};

pub(super) const GPT_BIG_CODE: Names =
    Names { projections: Projections::Grouped("attn.c_attn"), is_transposed: false, ..GPT2 };

pub(super) const GPT_J: Names = Names {
    norms: ["ln_1", "", "", ""],
    projections: Projections::Separate(["attn.q_proj", "attn.k_proj", "attn.v_proj"]),
    attention_output: "attn.out_proj",
    feed_forward: Inner::Separate(["", "mlp.fc_in"]),
    down: "mlp.fc_out",
    is_transposed: false,
    ..GPT2
};

pub(super) const GPT_NEO: Names = Names {
    projections: Projections::Separate(["attn.attention.q_proj", "attn.attention.k_proj", "attn.attention.v_proj"]),
    attention_output: "attn.attention.out_proj",
    is_transposed: false,
    ..GPT2
};

pub(super) const GPT_NEOX: Names = Names {
    roots: &["gpt_neox.", ""],
    embedding: "embed_in",
    norm: "final_layer_norm",
    output: "embed_out",
    layer: "layers",
    norms: ["input_layernorm", "", "post_attention_layernorm", ""],
    projections: Projections::Grouped("attention.query_key_value"),
    attention_output: "attention.dense",
    feed_forward: Inner::Separate(["", "mlp.dense_h_to_4h"]),
    down: "mlp.dense_4h_to_h",
    is_transposed: false,
    ..GPT2
};

pub(super) const BLOOM: Names = Names {
    embedding: "word_embeddings",
    embedding_norm: "word_embeddings_layernorm",
    norms: ["input_layernorm", "", "post_attention_layernorm", ""],
    projections: Projections::Grouped("self_attention.query_key_value"),
    attention_output: "self_attention.dense",
    feed_forward: Inner::Separate(["", "mlp.dense_h_to_4h"]),
    down: "mlp.dense_4h_to_h",
    is_transposed: false,
    ..GPT2
};

pub(super) const FALCON: Names = BLOOM;

/// Falcon 40B and later.
pub(super) const FALCON_TWO_NORMS: Names = Names { norms: ["ln_attn", "", "ln_mlp", ""], ..FALCON };

pub(super) const OPT: Names = Names {
    roots: &["model.decoder.", "decoder."],
    embedding: "embed_tokens",
    positions: "embed_positions",
    project: ["project_in", "project_out"],
    norm: "final_layer_norm",
    layer: "layers",
    norms: ["self_attn_layer_norm", "", "final_layer_norm", ""],
    projections: Projections::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    attention_output: "self_attn.out_proj",
    feed_forward: Inner::Separate(["", "fc1"]),
    down: "fc2",
    is_transposed: false,
    ..GPT2
};
