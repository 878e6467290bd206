//! Dimensions out of a `config.json`.

use std::path::Path;

use alcazar_core::{DecoderConfig, Family, RopeConfig, RopeScaling, RopeStyle, WeightNames};
use serde_json::Value;

use super::{CONTEXT, HEAD_DIM, HEADS, LAYERS, Source, VOCABULARY, WIDTH, check, dimension, dimension_or, positive};
use crate::{Error, error::excerpt};

/// Values of `model_type` that are served.
const SUPPORTED: &str = "llama, mistral, qwen2";

struct Keys<'a> {
    file: &'a Path,
    json: &'a Value,
}

impl Source for Keys<'_> {
    fn file(&self) -> &Path {
        self.file
    }

    fn integer(&self, key: &str) -> Option<u64> {
        self.json.pointer(key)?.as_u64()
    }

    fn float(&self, key: &str) -> Option<f64> {
        self.json.pointer(key)?.as_f64()
    }
}

/// The dimensions, checked against each other.
pub(crate) fn decoder_config(json: &Value, file: &Path) -> Result<DecoderConfig, Error> {
    let architecture = json.get("model_type").and_then(Value::as_str).unwrap_or("");
    if !matches!(architecture, "llama" | "mistral" | "qwen2") {
        return Err(Error::unsupported(file, format!("model_type {}", excerpt(architecture)), SUPPORTED));
    }
    if json.get("quantization_config").is_some_and(|config| !config.is_null()) {
        return Err(Error::unsupported(file, "a quantization_config", "plain weights, or GGUF for quantised ones"));
    }
    let activation = json.get("hidden_act").and_then(Value::as_str).unwrap_or("silu");
    if activation != "silu" {
        return Err(Error::unsupported(file, format!("hidden_act {}", excerpt(activation)), "silu"));
    }
    let keys = Keys { file, json };
    let hidden = dimension(&keys, "/hidden_size", WIDTH)?;
    let n_heads = dimension(&keys, "/num_attention_heads", HEADS)?;
    let head_dim = dimension_or(&keys, "/head_dim", HEAD_DIM, hidden / n_heads)?;
    let config = DecoderConfig {
        family: Family::Llama,
        architecture: architecture.to_owned(),
        names: WeightNames::HuggingFace,
        n_layers: dimension(&keys, "/num_hidden_layers", LAYERS)?,
        hidden,
        feed_forward: dimension(&keys, "/intermediate_size", WIDTH)?,
        n_heads,
        n_kv_heads: dimension_or(&keys, "/num_key_value_heads", HEADS, n_heads)?,
        head_dim,
        vocabulary: dimension(&keys, "/vocab_size", VOCABULARY)?,
        context_length: context_length(&keys)?,
        norm_epsilon: positive(&keys, "/rms_norm_eps", Some(1e-6))?,
        rope: rope(&keys, head_dim)?,
    };
    check(&config, file)?;
    Ok(config)
}

/// A sliding window that is as long as the context changes nothing, so a shorter one bounds the context instead.
fn context_length(keys: &Keys<'_>) -> Result<usize, Error> {
    let context = dimension(keys, "/max_position_embeddings", CONTEXT)?;
    let switched_off = keys.json.get("use_sliding_window").and_then(Value::as_bool) == Some(false);
    if switched_off || keys.integer("/sliding_window").is_none() {
        return Ok(context);
    }
    Ok(context.min(dimension(keys, "/sliding_window", CONTEXT)?))
}

fn rope(keys: &Keys<'_>, head_dim: usize) -> Result<RopeConfig, Error> {
    // Since transformers 5 the base lies beside the scaling, before that on top.
    let scaling_at = if keys.json.pointer("/rope_parameters").is_some_and(Value::is_object) {
        "/rope_parameters"
    } else {
        "/rope_scaling"
    };
    let theta_key = format!("{scaling_at}/rope_theta");
    let theta = if keys.float(&theta_key).is_some() {
        positive(keys, &theta_key, None)?
    } else {
        positive(keys, "/rope_theta", Some(10_000.0))?
    };
    if keys.float("/partial_rotary_factor").is_some_and(|factor| (factor - 1.0).abs() > 1e-9) {
        return Err(Error::unsupported(keys.file, "a partial_rotary_factor", "heads that are rotated whole"));
    }
    Ok(RopeConfig { theta, dims: head_dim, style: RopeStyle::Halves, scaling: scaling(keys, scaling_at)? })
}

fn scaling(keys: &Keys<'_>, at: &str) -> Result<RopeScaling, Error> {
    let Some(scaling) = keys.json.pointer(at).filter(|scaling| !scaling.is_null()) else {
        return Ok(RopeScaling::None);
    };
    let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Value::as_str).unwrap_or("default");
    let number = |key: &str| positive(keys, &format!("{at}/{key}"), None);
    match kind {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor: number("factor")? }),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: number("factor")?,
            low: number("low_freq_factor")?,
            high: number("high_freq_factor")?,
            original_context: number("original_max_position_embeddings")?,
        }),
        other => Err(Error::unsupported(keys.file, format!("rope scaling {}", excerpt(other)), "linear, llama3")),
    }
}
