//! The names of GGUF files, which are the same for all families but a few.

use alcazar_core::{
    DecoderConfig,
    config::{Family, Residual},
};

use super::{Experts, Inner, Names, Projections};

const GGUF: Names = Names {
    roots: &[""],
    embedding: "token_embd",
    embedding_norm: "token_embd_norm",
    positions: "position_embd",
    project: ["", ""],
    norm: "output_norm",
    output: "output",
    layer: "blk",
    norms: ["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"],
    projections: Projections::Either(["attn_q", "attn_k", "attn_v"], "attn_qkv"),
    attention_output: "attn_output",
    qk_norms: ["attn_q_norm", "attn_k_norm"],
    sinks: "attn_sinks.weight",
    feed_forward: Inner::Separate(["ffn_gate", "ffn_up"]),
    down: "ffn_down",
    experts: Experts::Stacked { router: "ffn_gate_inp", parts: ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"] },
    is_transposed: false,
};

pub(super) fn names(config: &DecoderConfig) -> Names {
    match config.family {
        Family::Phi3 => Names { feed_forward: Inner::Stacked("ffn_up"), ..GGUF },
        // Of its two norms the second is attention's.
        Family::Falcon if config.block.residual == Residual::Parallel => {
            Names { norms: ["attn_norm_2", "", "attn_norm", ""], ..GGUF }
        }
        Family::Llama if config.architecture == "seed_oss" => {
            Names { norms: ["attn_norm", "", "post_attention_norm", ""], ..GGUF }
        }
        Family::GptOss => Names { norms: ["attn_norm", "", "post_attention_norm", ""], ..GGUF },
        _ => GGUF,
    }
}
