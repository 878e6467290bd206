//! Rotary embedding out of GGUF metadata.

use alcazar_core::{
    Family,
    config::{RopeConfig, RopeScaling, yarn_magnitude},
};

use super::{
    super::{CONTEXT, HEAD_DIM, Sizes, Source, dimension_or, positive, positive_if_there, registry::Architecture},
    Keys,
};
use crate::{Error, error::excerpt};

/// Kinds of scaling that are served; Llama 3's factors are a tensor.
const SUPPORTED: &str = "none, linear, yarn, longrope";

pub(super) fn read(keys: &Keys<'_>, sizes: &Sizes, architecture: &Architecture) -> Result<RopeConfig, Error> {
    Ok(RopeConfig {
        theta: positive(keys, "rope.freq_base", Some(10_000.0))?,
        dims: dimension_or(keys, "rope.dimension_count", HEAD_DIM, sizes.head_dim)?,
        style: architecture.gguf_rope,
        scaling: scaling(keys, sizes, architecture.family)?,
    })
}

fn scaling(keys: &Keys<'_>, sizes: &Sizes, family: Family) -> Result<RopeScaling, Error> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a context has at most 2^26 positions, of which powers of two matter"
    )]
    let original = || {
        Ok::<_, Error>(dimension_or(keys, "rope.scaling.original_context_length", CONTEXT, sizes.context_length)? as f32)
    };
    if keys.has_tensor("rope_factors_long.weight") {
        let magnitude = positive(keys, "rope.scaling.attn_factor", Some(1.0))?;
        return Ok(RopeScaling::LongRope {
            short: Vec::new(),
            long: Vec::new(),
            magnitude,
            original_context: original()?,
        });
    }
    let factor = |default| positive(keys, "rope.scaling.factor", default);
    match keys.metadata().str(&keys.full("rope.scaling.type")) {
        None | Some("none") => match keys.float("rope.scale_linear") {
            Some(_) => Ok(RopeScaling::Linear { factor: positive(keys, "rope.scale_linear", None)? }),
            None => Ok(RopeScaling::None),
        },
        Some("linear") => Ok(RopeScaling::Linear { factor: factor(Some(1.0))? }),
        Some("yarn") => {
            let factor = factor(None)?;
            let own = positive_if_there(keys, "rope.scaling.attn_factor")?.unwrap_or(1.0);
            Ok(RopeScaling::Yarn {
                factor,
                beta_fast: positive(keys, "rope.scaling.yarn_beta_fast", Some(32.0))?,
                beta_slow: positive(keys, "rope.scaling.yarn_beta_slow", Some(1.0))?,
                // As its publisher's code has it; llama.cpp rounds here too.
                truncate: family != Family::GptOss,
                magnitude: own * yarn_magnitude(factor, 1.0),
                original_context: original()?,
            })
        }
        Some(other) => Err(Error::unsupported(keys.file, format!("rope scaling {}", excerpt(other)), SUPPORTED)),
    }
}
