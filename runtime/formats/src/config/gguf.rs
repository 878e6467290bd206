//! Configurations out of GGUF metadata.

pub(crate) mod encoder;
mod families;
mod rope;

#[cfg(test)]
mod tests;

use std::{ops::RangeInclusive, path::Path};

use alcazar_core::{DecoderConfig, Family, WeightNames, config::Position};

use super::{
    CONTEXT, HEAD_DIM, HEADS, LAYERS, Sizes, Source, VOCABULARY, WIDTH, check, dimension, dimension_or, like_llama,
    positive, registry,
};
use crate::{
    Error,
    error::excerpt,
    gguf::{Array, Header, Metadata, Value},
};

struct Keys<'a> {
    file: &'a Path,
    architecture: &'a str,
    header: &'a Header,
}

impl Source for Keys<'_> {
    fn file(&self) -> &Path {
        self.file
    }

    fn integer(&self, key: &str) -> Option<u64> {
        self.metadata().u64(&self.full(key))
    }

    fn float(&self, key: &str) -> Option<f64> {
        self.metadata().f64(&self.full(key))
    }
}

impl Keys<'_> {
    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    const fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    fn has_tensor(&self, name: &str) -> bool {
        self.header.tensors.contains_key(name)
    }

    /// A number, or a list of one for each layer that are all the same: layers of different shape are not served.
    fn dimension(&self, key: &str, range: RangeInclusive<u64>) -> Result<usize, Error> {
        let Some(Value::Array(Array::Integers(numbers))) = self.metadata().get(&self.full(key)) else {
            return dimension(self, key, range);
        };
        let first = numbers.first().copied().unwrap_or(0);
        match u64::try_from(first) {
            Ok(n) if range.contains(&n) && numbers.iter().all(|n| *n == first) => Ok(usize::try_from(n).unwrap_or(0)),
            _ => Err(Error::unsupported(self.file, format!("{key} that differs by layer"), "layers of one shape")),
        }
    }
}

/// The configuration, checked in itself and against the embedding's shape.
pub(crate) fn decoder_config(header: &Header, file: &Path) -> Result<DecoderConfig, Error> {
    let Some(name) = header.metadata.str("general.architecture") else {
        return Err(Error::malformed(file, 0, "no general.architecture", "the name of an architecture"));
    };
    let Some(architecture) = registry::by_gguf(name) else {
        let supported = format!("{}, {}", registry::listed(|row| row.gguf), super::encoder::registry::supported_gguf());
        return Err(Error::unsupported(file, format!("architecture {}", excerpt(name)), supported));
    };
    let keys = Keys { file, architecture: name, header };
    let sizes = sizes(&keys)?;
    let mut config = like_llama(architecture.family, name, WeightNames::Gguf, &sizes);
    let global = rope::read(&keys, &sizes, architecture)?;
    config.position = Position::Rotary { global, local: None };
    families::adapt(&keys, &mut config)?;
    let has_experts = keys.integer("expert_count").is_some_and(|n| n > 0);
    if has_experts && !matches!(config.family, Family::Mixtral | Family::Qwen3Moe | Family::GptOss) {
        let found = format!("a mixture of experts in architecture {name}");
        return Err(Error::unsupported(file, found, "experts in llama, qwen3moe, gpt-oss"));
    }
    // Written by the converter where sentence-transformers has modules for the model.
    if let Some(pooling) = keys.integer("pooling_type").filter(|pooling| *pooling > 0) {
        let found = format!("a decoder that makes vectors (pooling_type {pooling})");
        return Err(Error::unsupported(file, found, "its safetensors with modules.json"));
    }
    check(&config, file)?;
    Ok(config)
}

fn sizes(keys: &Keys<'_>) -> Result<Sizes, Error> {
    let (vocabulary, hidden) = embedding_shape(keys.header, keys.file)?;
    let n_heads = keys.dimension("attention.head_count", HEADS)?;
    let head_dim = dimension_or(keys, "attention.key_length", HEAD_DIM, hidden / n_heads)?;
    if dimension_or(keys, "attention.value_length", HEAD_DIM, head_dim)? != head_dim {
        return Err(Error::unsupported(keys.file, "values and keys of different length", "equal lengths"));
    }
    let found = dimension(keys, "embedding_length", WIDTH)?;
    if found != hidden {
        let expected = format!("{hidden}, as token_embd.weight has it");
        return Err(Error::malformed(keys.file, 0, format!("embedding_length {found}"), expected));
    }
    let has_kv = keys.metadata().get(&keys.full("attention.head_count_kv")).is_some();
    let epsilon = ["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"];
    let epsilon = epsilon.into_iter().find(|key| keys.float(key).is_some()).unwrap_or(epsilon[0]);
    Ok(Sizes {
        hidden,
        feed_forward: keys.dimension("feed_forward_length", WIDTH)?,
        n_layers: dimension(keys, "block_count", LAYERS)?,
        n_heads,
        n_kv_heads: if has_kv { keys.dimension("attention.head_count_kv", HEADS)? } else { n_heads },
        head_dim,
        vocabulary,
        context_length: dimension(keys, "context_length", CONTEXT)?,
        norm_epsilon: positive(keys, epsilon, None)?,
    })
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
