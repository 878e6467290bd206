//! ModernBERT's dimensions.

use alcazar_core::{Activation, EncoderConfig, EncoderFamily, encoder::ModernBert};
use serde_json::Value;

use super::{NO_HEAD, activation};
use crate::{
    Error,
    config::{CONTEXT, HEADS, LAYERS, VOCABULARY, WIDTH, dimension, dimension_or, hugging_face::Keys, positive},
};

pub(super) fn config(keys: &Keys<'_>) -> Result<EncoderConfig, Error> {
    let hidden = dimension(keys, "/hidden_size", WIDTH)?;
    let n_layers = dimension(keys, "/num_hidden_layers", LAYERS)?;
    Ok(EncoderConfig {
        family: EncoderFamily::ModernBert(ModernBert {
            is_global: global_layers(keys, n_layers)?,
            reach: dimension_or(keys, "/local_attention", CONTEXT, 128)? / 2,
            global_theta: theta(keys, "full_attention", "/global_rope_theta", 160_000.0)?,
            local_theta: theta(keys, "sliding_attention", "/local_rope_theta", 10_000.0)?,
        }),
        architecture: String::new(),
        n_layers,
        hidden,
        embedding: hidden,
        feed_forward: dimension(keys, "/intermediate_size", WIDTH)?,
        n_heads: dimension(keys, "/num_attention_heads", HEADS)?,
        vocabulary: dimension(keys, "/vocab_size", VOCABULARY)?,
        n_types: 0,
        n_positions: dimension_or(keys, "/max_position_embeddings", CONTEXT, 8192)?,
        first_position: 0,
        norm_epsilon: positive(keys, "/norm_eps", Some(1e-5))?,
        activation: activation(keys, "/hidden_activation", Activation::GeluErf)?,
        head: NO_HEAD,
    })
}

/// Since transformers 5 each kind of layer has its base under `rope_parameters`, before that on top.
fn theta(keys: &Keys<'_>, kind: &str, old: &str, default: f32) -> Result<f32, Error> {
    let parameters = format!("/rope_parameters/{kind}");
    let rope_type = keys.json.pointer(&format!("{parameters}/rope_type")).and_then(Value::as_str).unwrap_or("default");
    if rope_type != "default" {
        return Err(Error::unsupported(keys.file, format!("a scaled rope for {kind}"), "rope_type default"));
    }
    let new = format!("{parameters}/rope_theta");
    if keys.json.pointer(&new).is_some() { positive(keys, &new, None) } else { positive(keys, old, Some(default)) }
}

fn global_layers(keys: &Keys<'_>, n_layers: usize) -> Result<Vec<bool>, Error> {
    let Some(kinds) = keys.json.get("layer_types").and_then(Value::as_array) else {
        let every = dimension_or(keys, "/global_attn_every_n_layers", LAYERS, 3)?;
        return Ok((0..n_layers).map(|nth| nth % every == 0).collect());
    };
    if kinds.len() != n_layers {
        let found = format!("{} layer_types for {n_layers} layers", kinds.len());
        return Err(Error::malformed(keys.file, 0, found, "one for each"));
    }
    Ok(kinds.iter().map(|kind| kind.as_str() == Some("full_attention")).collect())
}
