//! What each family does otherwise than Llama, by its GGUF metadata.

use alcazar_core::{
    Activation, DecoderConfig, Family, Gating,
    config::{FeedForward, NormKind, Position, QkNorm, Residual, RopeConfig, RopeScaling, Rotation, Routing},
};

use super::{
    super::{
        CONTEXT, EXPERTS, Source, WIDTH, dimension, inverse_root, like_gpt2, positive, positive_if_there, root,
        rotate_locally, rotate_windows_only, set_windows,
    },
    Keys,
};
use crate::{
    Error,
    gguf::{Array, Value},
};

pub(super) fn adapt(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    match config.architecture.as_str() {
        "qwen3" => config.attention.qk_norm = QkNorm::Heads,
        "smollm3" => {
            for (nth, layer) in config.layers.iter_mut().enumerate() {
                layer.rotation = if (nth + 1).is_multiple_of(4) { Rotation::None } else { Rotation::Global };
            }
        }
        "gemma" => {
            config.input.scale = Some(root(config.hidden));
            config.output.is_tied = true;
        }
        "llama" if keys.integer("expert_count").is_some_and(|n| n > 0) => config.family = Family::Mixtral,
        _ => {}
    }
    let silu = Gating::Of(Activation::Silu);
    match config.family {
        Family::Llama if config.architecture == "gemma" => {
            config.feed_forward_kind = FeedForward::Gated(Gating::Of(Activation::GeluTanh));
        }
        Family::Llama if config.architecture == "granite" => granite(keys, config)?,
        Family::Llama => {}
        Family::Gemma => gemma(keys, config)?,
        Family::Phi3 => window(keys, config, |_| true)?,
        Family::Olmo2 => {
            config.block.norm_before = false;
            config.block.norm_after = true;
            config.attention.qk_norm = QkNorm::Whole;
            olmo3(keys, config)?;
        }
        Family::Starcoder2 => {
            config.block.norm = NormKind::Layer;
            config.feed_forward_kind = FeedForward::Plain(Activation::GeluTanh);
            window(keys, config, |_| true)?;
        }
        Family::Mixtral => config.feed_forward_kind = experts(keys, silu, Routing::SoftmaxOfUsed)?,
        Family::Qwen3Moe => {
            config.attention.qk_norm = QkNorm::Heads;
            config.feed_forward = keys.dimension("expert_feed_forward_length", WIDTH)?;
            // The files do not say it; all that were published share among those that are used.
            config.feed_forward_kind = experts(keys, silu, Routing::SoftmaxOfUsed)?;
        }
        Family::GptOss => gpt_oss(keys, config)?,
        _ => old_gpt(keys, config),
    }
    Ok(())
}

/// What OLMo 3 and EXAONE 4 have, and OLMo 2 has not.
fn olmo3(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    window(keys, config, |nth| (nth + 1) % 4 != 0)?;
    let has_windows = config.layers.iter().any(|layer| layer.window.is_some());
    if config.architecture == "exaone4" {
        config.attention.qk_norm = QkNorm::Heads;
        if has_windows {
            rotate_windows_only(config);
        }
    } else if has_windows && let Position::Rotary { global, local } = &mut config.position {
        let theta = positive(keys, "rope.freq_base_swa", Some(global.theta))?;
        *local = Some(RopeConfig { theta, scaling: RopeScaling::None, ..global.clone() });
        rotate_locally(config);
    }
    Ok(())
}

fn granite(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    let factor = |key: &str| positive_if_there(keys, key);
    config.input.scale = factor("embedding_scale")?;
    config.attention.scale = factor("attention.scale")?.unwrap_or(config.attention.scale);
    config.block.result_scale = factor("residual_scale")?;
    config.output.scale = factor("logit_scale")?.map(|scale| 1.0 / scale);
    Ok(())
}

fn experts(keys: &Keys<'_>, gating: Gating, routing: Routing) -> Result<FeedForward, Error> {
    let n_experts = dimension(keys, "expert_count", EXPERTS)?;
    Ok(FeedForward::Experts { gating, n_experts, n_used: dimension(keys, "expert_used_count", EXPERTS)?, routing })
}

/// A window in the layers of the pattern; none where the file has none, or one of 0.
fn window(keys: &Keys<'_>, config: &mut DecoderConfig, default: impl Fn(usize) -> bool) -> Result<(), Error> {
    if keys.integer("attention.sliding_window").is_none_or(|window| window == 0) {
        return Ok(());
    }
    let window = dimension(keys, "attention.sliding_window", CONTEXT)?;
    match keys.metadata().get(&keys.full("attention.sliding_window_pattern")) {
        Some(Value::Array(Array::Integers(layers))) => {
            set_windows(config, window, |nth| layers.get(nth).is_some_and(|windowed| *windowed != 0));
        }
        Some(_) => {
            let period = dimension(keys, "attention.sliding_window_pattern", 1..=1024)?;
            set_windows(config, window, |nth| (nth + 1) % period != 0);
        }
        None => set_windows(config, window, default),
    }
    Ok(())
}

fn gemma(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    // The converter has added the 1 to the gains.
    config.block.norm_after = true;
    config.feed_forward_kind = FeedForward::Gated(Gating::Of(Activation::GeluTanh));
    config.input.scale = Some(root(config.hidden));
    config.output.is_tied = true;
    config.attention.soft_cap = positive_if_there(keys, "attn_logit_softcapping")?;
    config.output.soft_cap = positive_if_there(keys, "final_logit_softcapping")?;
    let is_second = config.architecture == "gemma2";
    // The files do not say the scale; the two models of 27B have another than the rest, and are known by their layers.
    let is_largest = config.layers.len() == if is_second { 46 } else { 62 };
    let of_scale = if is_largest { config.hidden / config.n_heads } else { config.head_dim };
    config.attention.scale = inverse_root(of_scale);
    if is_second {
        return window(keys, config, |nth| nth.is_multiple_of(2));
    }
    config.attention.qk_norm = QkNorm::Heads;
    window(keys, config, |nth| (nth + 1) % 6 != 0)?;
    if let Position::Rotary { global, local } = &mut config.position {
        let theta = positive(keys, "rope.freq_base_swa", Some(10_000.0))?;
        *local = Some(RopeConfig { theta, scaling: RopeScaling::None, ..global.clone() });
    }
    rotate_locally(config);
    Ok(())
}

fn gpt_oss(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    config.attention.has_sinks = true;
    config.feed_forward = keys.dimension("expert_feed_forward_length", WIDTH)?;
    let gating = Gating::ClampedSwiglu { alpha: 1.702, limit: 7.0 };
    config.feed_forward_kind = experts(keys, gating, Routing::SoftmaxOfUsed)?;
    window(keys, config, |nth| nth.is_multiple_of(2))
}

fn old_gpt(keys: &Keys<'_>, config: &mut DecoderConfig) {
    like_gpt2(config, Activation::GeluTanh);
    let entries = config.context_length;
    match config.family {
        Family::Gpt2 | Family::GptBigCode => config.position = Position::Learned { offset: 0, entries },
        Family::GptNeoX => {
            config.feed_forward_kind = FeedForward::Plain(Activation::GeluErf);
            if keys.metadata().bool(&keys.full("use_parallel_residual")).unwrap_or(true) {
                config.block.residual = Residual::Parallel;
            }
        }
        Family::Bloom => {
            config.position = Position::Alibi { scale: 1.0 };
            config.input.has_norm = true;
        }
        Family::Falcon => {
            config.feed_forward_kind = FeedForward::Plain(Activation::GeluErf);
            let has_two = keys.has_tensor("blk.0.attn_norm_2.weight");
            config.block.residual = if has_two { Residual::Parallel } else { Residual::ParallelShared };
        }
        _ => {}
    }
}
