//! What DeBERTa's attention is made of.

use alcazar_core::{
    Activation,
    encoder::{Convolution, Deberta},
};
use serde_json::Value;

use super::activation;
use crate::{
    Error,
    config::{CONTEXT, dimension, dimension_or, hugging_face::Keys},
    error::excerpt,
};

pub(super) fn read(keys: &Keys<'_>) -> Result<Deberta, Error> {
    let flag = |key: &str, default: bool| keys.json.get(key).and_then(Value::as_bool).unwrap_or(default);
    if !flag("relative_attention", false) {
        return Err(Error::unsupported(keys.file, "DeBERTa without relative_attention", "relative_attention: true"));
    }
    let kinds = attention_kinds(keys);
    let n_positions = dimension_or(keys, "/max_position_embeddings", CONTEXT, 512)?;
    // -1 stands for none of its own.
    let is_set = |key: &str| keys.json.get(key).and_then(Value::as_i64).is_some_and(|n| n > 0);
    let max_distance = if is_set("max_relative_positions") {
        dimension(keys, "/max_relative_positions", CONTEXT)?
    } else {
        n_positions
    };
    let n_buckets =
        is_set("position_buckets").then(|| dimension(keys, "/position_buckets", 4..=1 << 16)).transpose()?;
    let norms = keys.json.get("norm_rel_ebd").and_then(Value::as_str).unwrap_or("none");
    Ok(Deberta {
        has_positions: flag("position_biased_input", true),
        content_to_position: kinds.iter().any(|kind| kind == "c2p"),
        position_to_content: kinds.iter().any(|kind| kind == "p2c"),
        shares_projections: flag("share_att_key", false),
        norms_table: norms.to_lowercase().split('|').any(|norm| norm.trim() == "layer_norm"),
        n_buckets,
        max_distance,
        convolution: convolution(keys)?,
    })
}

/// A list, or words between bars.
fn attention_kinds(keys: &Keys<'_>) -> Vec<String> {
    match keys.json.get("pos_att_type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(kinds)) => kinds.split('|').map(|kind| kind.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn convolution(keys: &Keys<'_>) -> Result<Option<Convolution>, Error> {
    let n_taps = dimension_or(keys, "/conv_kernel_size", 0..=31, 0)?;
    if n_taps == 0 {
        return Ok(None);
    }
    if n_taps.is_multiple_of(2) {
        return Err(Error::malformed(keys.file, 0, format!("conv_kernel_size {n_taps}"), "an odd number"));
    }
    if let Some(groups) = keys.json.get("conv_groups").filter(|groups| groups.as_u64() != Some(1)) {
        return Err(Error::unsupported(keys.file, format!("conv_groups {}", excerpt(&groups.to_string())), "1"));
    }
    Ok(Some(Convolution { n_taps, activation: activation(keys, "/conv_act", Activation::Tanh)? }))
}
