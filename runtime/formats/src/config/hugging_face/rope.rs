//! Rotary embedding out of a `config.json`.

use alcazar_core::{
    RopeStyle,
    config::{RopeConfig, RopeScaling, yarn_magnitude},
};
use serde_json::Value;

use super::{
    super::{CONTEXT, dimension, positive, positive_if_there},
    Keys,
};
use crate::{Error, error::excerpt};

/// Kinds of scaling that are served.
const SUPPORTED: &str = "default, linear, dynamic, llama3, yarn, longrope";

/// The rotation of all layers.
pub(super) fn read(keys: &Keys<'_>, head_dim: usize) -> Result<RopeConfig, Error> {
    // Since transformers 5 the base lies beside the scaling, before that on top.
    let new = keys.json.pointer("/rope_parameters").is_some_and(Value::is_object);
    at(keys, if new { "/rope_parameters" } else { "/rope_scaling" }, head_dim)
}

/// A rotation of whole heads by the frequencies of a base.
pub(super) const fn plain(theta: f32, head_dim: usize) -> RopeConfig {
    RopeConfig { theta, dims: head_dim, style: RopeStyle::Halves, scaling: RopeScaling::None }
}

/// The rotation that an object describes; what it leaves out, the configuration says on top.
pub(super) fn at(keys: &Keys<'_>, at: &str, head_dim: usize) -> Result<RopeConfig, Error> {
    let theta_key = format!("{at}/rope_theta");
    let theta = keys.among(&[&theta_key, "/rotary_emb_base", "/rope_theta"]);
    let theta = positive(keys, theta, Some(10_000.0))?;
    let factor_key = format!("{at}/partial_rotary_factor");
    let factor = keys.among(&[&factor_key, "/rotary_pct", "/partial_rotary_factor"]);
    let factor = positive(keys, factor, Some(1.0))?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive share of a head, which has far fewer than 2^23 elements; too large ones are refused later"
    )]
    let dims = (head_dim as f32 * factor) as usize;
    Ok(RopeConfig { theta, dims, style: RopeStyle::Halves, scaling: scaling(keys, at)? })
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
        "dynamic" => Ok(RopeScaling::Dynamic {
            factor: number("factor")?,
            original_context: context(keys, "/max_position_embeddings")?,
        }),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: number("factor")?,
            low: number("low_freq_factor")?,
            high: number("high_freq_factor")?,
            original_context: number("original_max_position_embeddings")?,
        }),
        "yarn" => yarn(keys, at),
        "longrope" | "su" => longrope(keys, at),
        other => Err(keys.unsupported(format!("rope scaling {}", excerpt(other)), SUPPORTED)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a context has at most 2^26 positions, of which powers of two matter")]
fn context(keys: &Keys<'_>, key: &str) -> Result<f32, Error> {
    Ok(dimension(keys, key, CONTEXT)? as f32)
}

/// The context before the stretch, and by how much it was stretched.
fn stretch(keys: &Keys<'_>, at: &str) -> Result<(f32, f32), Error> {
    let key = format!("{at}/original_max_position_embeddings");
    let top = "/original_max_position_embeddings";
    let longest = context(keys, "/max_position_embeddings")?;
    let original = positive(keys, keys.among(&[&key, top]), Some(longest))?;
    Ok((original, positive(keys, &format!("{at}/factor"), Some(longest / original))?))
}

fn yarn(keys: &Keys<'_>, at: &str) -> Result<RopeScaling, Error> {
    let (original_context, factor) = stretch(keys, at)?;
    let there = |key: &str| positive_if_there(keys, &format!("{at}/{key}"));
    let magnitude = match (there("attention_factor")?, there("mscale")?, there("mscale_all_dim")?) {
        (Some(magnitude), ..) => magnitude,
        (None, Some(above), Some(below)) => yarn_magnitude(factor, above) / yarn_magnitude(factor, below),
        _ => yarn_magnitude(factor, 1.0),
    };
    Ok(RopeScaling::Yarn {
        factor,
        beta_fast: there("beta_fast")?.unwrap_or(32.0),
        beta_slow: there("beta_slow")?.unwrap_or(1.0),
        truncate: keys.bool(&format!("{at}/truncate")).unwrap_or(true),
        magnitude,
        original_context,
    })
}

fn longrope(keys: &Keys<'_>, at: &str) -> Result<RopeScaling, Error> {
    let (original_context, factor) = stretch(keys, at)?;
    let factors = |key: &str| {
        let key = format!("{at}/{key}");
        let n = keys.list(&key).map_or(0, <[Value]>::len);
        let factors: Result<Vec<f32>, Error> =
            (0..n).map(|nth| positive(keys, &format!("{key}/{nth}"), None)).collect();
        match factors?.as_slice() {
            [] => Err(super::super::wrong(keys, &key, "nowhere", "a factor for each pair")),
            factors => Ok(factors.to_vec()),
        }
    };
    let magnitude = positive_if_there(keys, &format!("{at}/attention_factor"))?;
    Ok(RopeScaling::LongRope {
        short: factors("short_factor")?,
        long: factors("long_factor")?,
        magnitude: magnitude.unwrap_or_else(|| longrope_magnitude(factor, original_context)),
        original_context,
    })
}

fn longrope_magnitude(factor: f32, original_context: f32) -> f32 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original_context.ln()).sqrt() }
}
