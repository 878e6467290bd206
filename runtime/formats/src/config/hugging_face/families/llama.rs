//! Llama and those that were made after it.

use alcazar_core::{
    Activation, DecoderConfig, Family, Gating, RopeStyle,
    config::{FeedForward, NormKind, Position, QkNorm, Residual, RopeConfig, Rotation, Routing},
};

use super::super::{
    super::{
        CONTEXT, EXPERTS, WIDTH, dimension, dimension_or, positive, positive_if_there, root, rotate_locally,
        rotate_windows_only, set_windows, wrong,
    },
    Keys, activation, rope,
};
use crate::{Error, error::excerpt};

pub(super) fn adapt(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    config.position = Position::Rotary { global: rope::read(keys, config.head_dim)?, local: None };
    let gating = Gating::Of(activation(keys, "silu")?);
    config.feed_forward_kind = FeedForward::Gated(gating);
    match config.family {
        Family::Gemma => gemma(keys, config)?,
        Family::Olmo2 => {
            config.block.norm_before = false;
            config.block.norm_after = true;
            config.attention.qk_norm = QkNorm::Whole;
        }
        Family::Glm4 => config.block.norm_after = true,
        Family::Starcoder2 => {
            config.block.norm = NormKind::Layer;
            config.feed_forward_kind = FeedForward::Plain(activation(keys, "gelu_pytorch_tanh")?);
        }
        Family::Mixtral => config.feed_forward_kind = experts(keys, gating, Routing::SoftmaxOfUsed)?,
        Family::Qwen3Moe => qwen3_moe(keys, config, gating)?,
        Family::GptOss => gpt_oss(keys, config)?,
        _ => {}
    }
    match config.architecture.as_str() {
        "qwen3" | "qwen3_moe" | "exaone4" => config.attention.qk_norm = QkNorm::Heads,
        "smollm3" => no_rotation(keys, config)?,
        "olmo3" => config.position = by_kind(keys, config.head_dim, 5e5, None)?,
        "granite" => granite(keys, config)?,
        "stablelm" => stablelm(keys, config)?,
        "glm4" | "ernie4_5" => pair_neighbours(config),
        "gemma" => {
            config.block.gain_offset = 1.0;
            config.input.scale = Some(root(config.hidden));
            // Its first files name the exact function; they were trained with the approximation.
            if !matches!(activation(keys, "gelu")?, Activation::GeluErf | Activation::GeluTanh) {
                return Err(keys.unsupported("a gemma with another hidden_act".to_owned(), "gelu, gelu_pytorch_tanh"));
            }
            config.feed_forward_kind = FeedForward::Gated(Gating::Of(Activation::GeluTanh));
        }
        _ => {}
    }
    windows(keys, config)
}

fn gemma(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    config.block.gain_offset = 1.0;
    config.block.norm_after = true;
    config.feed_forward_kind = FeedForward::Gated(Gating::Of(activation(keys, "gelu_pytorch_tanh")?));
    config.input.scale = Some(root(config.hidden));
    config.attention.scale = 1.0 / positive(keys, "/query_pre_attn_scalar", Some(256.0))?.sqrt();
    keys.refuse("/use_bidirectional_attention")?;
    // An explicit null switches a cap off; a file that says nothing means the default.
    let cap = |key: &str, default| match keys.json.pointer(key) {
        None => Ok(default),
        Some(_) => positive_if_there(keys, key),
    };
    let is_second = config.architecture == "gemma2";
    config.attention.soft_cap = cap("/attn_logit_softcapping", is_second.then_some(50.0))?;
    config.output.soft_cap = cap("/final_logit_softcapping", is_second.then_some(30.0))?;
    if is_second {
        return Ok(());
    }
    config.attention.qk_norm = QkNorm::Heads;
    let local = positive(keys, "/rope_local_base_freq", Some(10_000.0))?;
    config.position = by_kind(keys, config.head_dim, 1e6, Some(local))?;
    Ok(())
}

/// Layers with a window are rotated otherwise than those without. Before transformers 5 a scaling was that of the latter,
/// and both had one base unless the file has another for the former.
fn by_kind(keys: &Keys<'_>, dim: usize, theta: f32, local: Option<f32>) -> Result<Position, Error> {
    let (global, local) = if keys.json.pointer("/rope_parameters/full_attention").is_some() {
        let at = |at| rope::at(keys, at, dim);
        (at("/rope_parameters/full_attention")?, at("/rope_parameters/sliding_attention")?)
    } else {
        let theta = positive(keys, "/rope_theta", Some(theta))?;
        (RopeConfig { theta, ..rope::read(keys, dim)? }, rope::plain(local.unwrap_or(theta), dim))
    };
    Ok(Position::Rotary { global, local: Some(local) })
}

fn granite(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    let factor = |key: &str| positive(keys, key, Some(1.0));
    config.input.scale = Some(factor("/embedding_multiplier")?);
    config.attention.scale = factor("/attention_multiplier")?;
    config.block.result_scale = Some(factor("/residual_multiplier")?);
    config.output.scale = Some(1.0 / factor("/logits_scaling")?);
    Ok(())
}

fn stablelm(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    keys.refuse("/qk_layernorm")?;
    config.block.norm = NormKind::Layer;
    if keys.bool("/use_parallel_residual") == Some(true) {
        config.block.residual = Residual::ParallelShared;
    }
    Ok(())
}

/// Each element is rotated with the next one.
const fn pair_neighbours(config: &mut DecoderConfig) {
    if let Position::Rotary { global, .. } = &mut config.position {
        global.style = RopeStyle::Interleaved;
    }
}

fn experts(keys: &Keys<'_>, gating: Gating, routing: Routing) -> Result<FeedForward, Error> {
    let n_experts = keys.dimension(&["/num_experts", "/num_local_experts"], EXPERTS, None)?;
    Ok(FeedForward::Experts { gating, n_experts, n_used: dimension(keys, "/num_experts_per_tok", EXPERTS)?, routing })
}

fn qwen3_moe(keys: &Keys<'_>, config: &mut DecoderConfig, gating: Gating) -> Result<(), Error> {
    let every = dimension_or(keys, "/decoder_sparse_step", EXPERTS, 1)?;
    let listed = keys.list("/mlp_only_layers").unwrap_or_default();
    let width = config.feed_forward;
    for (nth, layer) in config.layers.iter_mut().enumerate() {
        let is_listed = listed.iter().any(|layer| layer.as_u64() == Some(nth as u64));
        layer.dense = (is_listed || (nth + 1) % every != 0).then_some(width);
    }
    config.feed_forward = dimension(keys, "/moe_intermediate_size", WIDTH)?;
    let is_normed = keys.bool("/norm_topk_prob").unwrap_or(false);
    let routing = if is_normed { Routing::SoftmaxOfUsed } else { Routing::SoftmaxOfAll };
    config.feed_forward_kind = experts(keys, gating, routing)?;
    Ok(())
}

fn gpt_oss(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    config.attention.has_sinks = true;
    let limit = positive(keys, "/swiglu_limit", Some(7.0))?;
    let alpha = positive(keys, "/swiglu_alpha", Some(1.702))?;
    config.feed_forward_kind = experts(keys, Gating::ClampedSwiglu { alpha, limit }, Routing::SoftmaxOfUsed)?;
    Ok(())
}

/// SmolLM3: some layers are not rotated.
fn no_rotation(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    let every = dimension_or(keys, "/no_rope_layer_interval", 1..=1 << 20, 4)?;
    let listed = keys.list("/no_rope_layers");
    for (nth, layer) in config.layers.iter_mut().enumerate() {
        let rotates = match listed {
            Some(list) => list.get(nth).and_then(serde_json::Value::as_u64) == Some(1),
            None => (nth + 1) % every != 0,
        };
        layer.rotation = if rotates { Rotation::Global } else { Rotation::None };
    }
    Ok(())
}

/// Which layers see a window only.
fn windows(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    let architecture = config.architecture.clone();
    let uses = match architecture.as_str() {
        "llama" | "olmo2" | "gemma" => false,
        "qwen2" | "qwen3" | "qwen3_moe" | "smollm3" => keys.bool("/use_sliding_window").unwrap_or(false),
        _ => true,
    };
    // What transformers takes where a file does not say it.
    let default = match architecture.as_str() {
        "mistral" | "mistral3" | "gemma2" | "gemma3" | "gemma3_text" | "olmo3" | "ministral" | "exaone4" => Some(4096),
        "gpt_oss" => Some(128),
        _ => None,
    };
    let window = match (keys.json.get("sliding_window"), default) {
        (None, Some(default)) => default,
        (Some(window), _) if uses && !window.is_null() => dimension(keys, "/sliding_window", CONTEXT)?,
        _ => return Ok(()),
    };
    let n_layers = config.layers.len();
    if let Some(kinds) = keys.list("/layer_types") {
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str().unwrap_or_default()).collect();
        let known = |kind: &&&str| !matches!(**kind, "sliding_attention" | "full_attention");
        if let Some(kind) = kinds.iter().find(known) {
            return Err(keys.unsupported(format!("layer type {}", excerpt(kind)), "sliding_attention, full_attention"));
        }
        if kinds.len() != n_layers {
            return Err(wrong(keys, "/layer_types", &format!("of {}", kinds.len()), &n_layers.to_string()));
        }
        set_windows(config, window, |nth| kinds.get(nth) == Some(&"sliding_attention"));
    } else {
        let first = dimension_or(keys, "/max_window_layers", 0..=1 << 20, 0)?;
        let pattern = keys.dimension(&["/_sliding_window_pattern", "/sliding_window_pattern"], 1..=1 << 20, Some(6))?;
        set_windows(config, window, |nth| match architecture.as_str() {
            "gemma2" | "gpt_oss" => nth.is_multiple_of(2),
            "gemma3" | "gemma3_text" => (nth + 1) % pattern != 0,
            "olmo3" | "exaone4" => (nth + 1) % 4 != 0,
            "qwen2" | "qwen3" | "qwen3_moe" => nth >= first,
            _ => true,
        });
    }
    match architecture.as_str() {
        "gemma3" | "gemma3_text" | "olmo3" => rotate_locally(config),
        "exaone4" => rotate_windows_only(config),
        _ => {}
    }
    Ok(())
}
