//! GPT-2 and what came between it and Llama.

use alcazar_core::{
    Activation, DecoderConfig, Family, RopeStyle,
    config::{FeedForward, Position, Residual, RopeConfig},
};

use super::super::{
    super::{CONTEXT, HEAD_DIM, HEADS, WIDTH, dimension, dimension_or, inverse_root, like_gpt2, set_windows},
    Keys, activation, rope,
};
use crate::Error;

/// Learned positions or slopes, no gates.
pub(super) fn old(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    let default = if config.family == Family::Opt { "relu" } else { "gelu_new" };
    like_gpt2(config, activation(keys, default)?);
    keys.refuse("/add_cross_attention")?;
    let entries = config.context_length;
    config.position = Position::Learned { offset: 0, entries };
    match config.family {
        Family::Gpt2 | Family::GptBigCode => {
            if keys.bool("/scale_attn_weights") == Some(false) {
                config.attention.scale = 1.0;
            }
            if config.family == Family::GptBigCode {
                let shares = keys.bool("/multi_query").unwrap_or(true);
                config.n_kv_heads = if shares { 1 } else { config.n_heads };
            } else {
                config.attention.scale_by_layer = keys.bool("/scale_attn_by_inverse_layer_idx").unwrap_or(false);
            }
        }
        Family::GptJ => {
            config.block.residual = Residual::ParallelShared;
            let dims = dimension_or(keys, "/rotary_dim", HEAD_DIM, config.head_dim)?;
            let global = RopeConfig { style: RopeStyle::Interleaved, ..rope::plain(10_000.0, dims) };
            config.position = Position::Rotary { global, local: None };
        }
        Family::GptNeo => gpt_neo(keys, config)?,
        Family::Opt => opt(keys, config)?,
        Family::Bloom => {
            keys.refuse("/apply_residual_connection_post_layernorm")?;
            config.position = Position::Alibi { scale: 1.0 };
            config.input.has_norm = true;
            // Whatever the file says: its code has no choice.
            config.feed_forward_kind = FeedForward::Plain(Activation::GeluTanh);
        }
        _ => {}
    }
    Ok(())
}

fn gpt_neo(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    config.attention.scale = 1.0;
    let window = dimension_or(keys, "/window_size", CONTEXT, 256)?;
    // [[["global", "local"], 12]]: the names, so many times.
    let mut kinds = Vec::new();
    for group in keys.list("/attention_types").unwrap_or_default() {
        let names = group.pointer("/0").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let times = group.pointer("/1").and_then(serde_json::Value::as_u64).unwrap_or(0).min(1024);
        for _ in 0..times {
            kinds.extend(names.iter().map(|name| name.as_str().unwrap_or_default().to_owned()));
        }
    }
    if kinds.len() != config.layers.len() || kinds.iter().any(|kind| kind != "global" && kind != "local") {
        let found = format!("attention_types of {} layers", kinds.len());
        return Err(keys.unsupported(found, "global or local for each layer"));
    }
    set_windows(config, window, |nth| kinds.get(nth).is_some_and(|kind| kind == "local"));
    Ok(())
}

fn opt(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    config.n_kv_heads = config.n_heads;
    config.feed_forward = dimension(keys, "/ffn_dim", WIDTH)?;
    config.block.norm_epsilon = 1e-5;
    if keys.bool("/layer_norm_elementwise_affine") == Some(false) {
        return Err(keys.unsupported("layer_norm_elementwise_affine false".to_owned(), "norms with gains"));
    }
    config.position = Position::Learned { offset: 2, entries: config.context_length + 2 };
    let before = keys.bool("/do_layer_norm_before").unwrap_or(true);
    if !before {
        config.block.residual = Residual::NormOfSum;
    }
    config.output.has_norm = before && keys.bool("/_remove_final_layer_norm") != Some(true);
    let width = dimension_or(keys, "/word_embed_proj_dim", WIDTH, config.hidden)?;
    config.input.width = (width != config.hidden).then_some(width);
    Ok(())
}

pub(super) fn gpt_neox(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    like_gpt2(config, activation(keys, "gelu")?);
    config.n_kv_heads = config.n_heads;
    let mut global = rope::read(keys, config.head_dim)?;
    if keys.json.pointer("/rope_parameters").is_none() && keys.json.pointer("/rotary_pct").is_none() {
        global.dims = config.head_dim / 4;
    }
    config.position = Position::Rotary { global, local: None };
    if keys.bool("/use_parallel_residual").unwrap_or(true) {
        config.block.residual = Residual::Parallel;
    }
    Ok(())
}

pub(super) fn falcon(keys: &Keys<'_>, config: &mut DecoderConfig) -> Result<(), Error> {
    like_gpt2(config, activation(keys, "gelu")?);
    config.feed_forward = keys.dimension(&["/ffn_hidden_size"], WIDTH, Some(4 * config.hidden))?;
    let is_new = keys.bool("/new_decoder_architecture").unwrap_or(false);
    let given = keys.dimension(&["/num_kv_heads", "/n_head_kv"], HEADS, Some(config.n_heads))?;
    config.n_kv_heads = match (is_new, keys.bool("/multi_query").unwrap_or(true)) {
        (true, _) => given,
        (false, true) => 1,
        (false, false) => config.n_heads,
    };
    let n_norms = dimension_or(keys, "/num_ln_in_parallel_attn", 1..=2, 2)?;
    config.block.residual = match (is_new, keys.bool("/parallel_attn").unwrap_or(true)) {
        (true, _) if n_norms == 2 => Residual::Parallel,
        (true, _) | (false, true) => Residual::ParallelShared,
        (false, false) => Residual::Sequential,
    };
    config.position = if keys.bool("/alibi").unwrap_or(false) {
        Position::Alibi { scale: inverse_root(config.head_dim) }
    } else {
        Position::Rotary { global: rope::read(keys, config.head_dim)?, local: None }
    };
    Ok(())
}
