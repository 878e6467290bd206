//! Dimensions out of GGUF metadata.

use std::path::Path;

use alcazar_core::{DecoderConfig, Family, RopeConfig, RopeScaling, RopeStyle, WeightNames};

use super::{CONTEXT, HEAD_DIM, HEADS, LAYERS, Source, VOCABULARY, WIDTH, check, dimension, dimension_or, positive};
use crate::{
    Error,
    error::excerpt,
    gguf::{Header, Metadata},
};

/// Architectures of GGUF files that are served.
const SUPPORTED: &str = "llama, qwen2";

struct Keys<'a> {
    file: &'a Path,
    architecture: &'a str,
    metadata: &'a Metadata,
}

impl Source for Keys<'_> {
    fn file(&self) -> &Path {
        self.file
    }

    fn integer(&self, key: &str) -> Option<u64> {
        self.metadata.u64(&format!("{}.{key}", self.architecture))
    }

    fn float(&self, key: &str) -> Option<f64> {
        self.metadata.f64(&format!("{}.{key}", self.architecture))
    }
}

/// The dimensions, checked against each other and against the embedding's shape.
pub(crate) fn decoder_config(header: &Header, file: &Path) -> Result<DecoderConfig, Error> {
    let metadata = &header.metadata;
    let Some(architecture) = metadata.str("general.architecture") else {
        return Err(Error::malformed(file, 0, "no general.architecture", "the name of an architecture"));
    };
    let style = match architecture {
        "llama" => RopeStyle::Interleaved,
        "qwen2" => RopeStyle::Halves,
        _ => {
            let found = format!("architecture {}", excerpt(architecture));
            return Err(Error::unsupported(file, found, SUPPORTED));
        }
    };
    let keys = Keys { file, architecture, metadata };
    if keys.integer("expert_count").is_some_and(|n| n > 0) {
        return Err(Error::unsupported(file, "a mixture of experts", "dense models"));
    }
    let (vocabulary, hidden) = embedding_shape(header, file)?;
    let n_heads = dimension(&keys, "attention.head_count", HEADS)?;
    let head_dim = dimension_or(&keys, "attention.key_length", HEAD_DIM, hidden / n_heads)?;
    if dimension_or(&keys, "attention.value_length", HEAD_DIM, head_dim)? != head_dim {
        return Err(Error::unsupported(file, "values and keys of different length", "equal lengths"));
    }
    let found = dimension(&keys, "embedding_length", WIDTH)?;
    if found != hidden {
        let expected = format!("{hidden}, as token_embd.weight has it");
        return Err(Error::malformed(file, 0, format!("embedding_length {found}"), expected));
    }
    let config = DecoderConfig {
        family: Family::Llama,
        architecture: architecture.to_owned(),
        names: WeightNames::Gguf,
        n_layers: dimension(&keys, "block_count", LAYERS)?,
        hidden,
        feed_forward: dimension(&keys, "feed_forward_length", WIDTH)?,
        n_heads,
        n_kv_heads: dimension_or(&keys, "attention.head_count_kv", HEADS, n_heads)?,
        head_dim,
        vocabulary,
        context_length: dimension(&keys, "context_length", CONTEXT)?,
        norm_epsilon: positive(&keys, "attention.layer_norm_rms_epsilon", None)?,
        rope: RopeConfig {
            theta: positive(&keys, "rope.freq_base", Some(10_000.0))?,
            dims: dimension_or(&keys, "rope.dimension_count", HEAD_DIM, head_dim)?,
            style,
            scaling: scaling(&keys)?,
        },
    };
    check(&config, file)?;
    Ok(config)
}

fn embedding_shape(header: &Header, file: &Path) -> Result<(usize, usize), Error> {
    let shape = header.tensors.get("token_embd.weight").map(|tensor| tensor.shape.as_slice());
    let Some(&[vocabulary, hidden]) = shape else {
        return Err(Error::malformed(file, 0, format!("token_embd.weight of shape {shape:?}"), "a matrix"));
    };
    if !VOCABULARY.contains(&(vocabulary as u64)) || !WIDTH.contains(&(hidden as u64)) {
        let expected = format!("at most {} by {}", VOCABULARY.end(), WIDTH.end());
        return Err(Error::malformed(file, 0, format!("token_embd.weight of {vocabulary} by {hidden}"), expected));
    }
    Ok((vocabulary, hidden))
}

fn scaling(keys: &Keys<'_>) -> Result<RopeScaling, Error> {
    match keys.metadata.str(&format!("{}.rope.scaling.type", keys.architecture)) {
        None | Some("none") => match keys.float("rope.scale_linear") {
            Some(_) => Ok(RopeScaling::Linear { factor: positive(keys, "rope.scale_linear", None)? }),
            None => Ok(RopeScaling::None),
        },
        Some("linear") => Ok(RopeScaling::Linear { factor: positive(keys, "rope.scaling.factor", Some(1.0))? }),
        Some(other) => {
            Err(Error::unsupported(keys.file, format!("rope scaling {}", excerpt(other)), "none, linear, llama3"))
        }
    }
}
