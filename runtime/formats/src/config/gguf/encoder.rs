//! An encoder's dimensions out of GGUF metadata, as llama.cpp's converter writes it.

mod names;

#[cfg(test)]
mod tests;

use std::path::Path;

use alcazar_core::{
    Activation, EncoderConfig, EncoderFamily, Head,
    encoder::{Classification, ModernBert, Pooling, SentenceEmbedding, Stage},
};

use super::{
    super::{CONTEXT, HEADS, LAYERS, WIDTH, dimension, dimension_or, encoder::registry, positive},
    Keys, embedding_shape,
};
use crate::{Error, error::excerpt, gguf::Header};

pub(crate) use names::hugging_face_name;

/// What `general.architecture` says, where it is that of an encoder.
pub(crate) fn architecture(header: &Header) -> Option<&str> {
    header.metadata.str("general.architecture").filter(|name| registry::is_gguf(name))
}

/// The configuration, checked in itself and against the embedding's shape.
pub(crate) fn encoder_config(header: &Header, architecture: &str, file: &Path) -> Result<EncoderConfig, Error> {
    let keys = Keys { file, architecture, header };
    let (vocabulary, hidden) = embedding_shape(header, file)?;
    let n_layers = dimension(&keys, "block_count", LAYERS)?;
    let family = match architecture {
        "modern-bert" => EncoderFamily::ModernBert(modern_bert(&keys, n_layers)?),
        _ => family(&keys),
    };
    let head = head(&keys, &family)?;
    let n_positions = match header.tensors.get("position_embd.weight") {
        // RoBERTa's rows of what stands before a text are cut off.
        Some(table) => table.shape.first().copied().unwrap_or_default(),
        None => dimension(&keys, "context_length", CONTEXT)?,
    };
    let n_types = header.tensors.get("token_types.weight").and_then(|table| table.shape.first()).copied();
    let config = EncoderConfig {
        family,
        architecture: architecture.to_owned(),
        n_layers,
        hidden,
        embedding: hidden,
        feed_forward: dimension(&keys, "feed_forward_length", WIDTH)?,
        n_heads: dimension(&keys, "attention.head_count", HEADS)?,
        vocabulary,
        n_types: n_types.unwrap_or(0),
        n_positions,
        first_position: 0,
        norm_epsilon: positive(&keys, "attention.layer_norm_epsilon", None)?,
        activation: activation(&keys)?,
        head,
    };
    check(&config, file)?;
    Ok(config)
}

/// The converter writes BERT, RoBERTa and DistilBERT as one architecture; only what they have tells them apart.
fn family(keys: &Keys<'_>) -> EncoderFamily {
    if !keys.has_tensor("token_types.weight") {
        EncoderFamily::DistilBert
    } else if keys.has_tensor("cls.weight") {
        EncoderFamily::Roberta
    } else {
        EncoderFamily::Bert
    }
}

fn modern_bert(keys: &Keys<'_>, n_layers: usize) -> Result<ModernBert, Error> {
    let every = dimension_or(keys, "attention.sliding_window_pattern", LAYERS, 3)?;
    let global_theta = positive(keys, "rope.freq_base", Some(160_000.0))?;
    Ok(ModernBert {
        is_global: (0..n_layers).map(|nth| nth % every == 0).collect(),
        reach: dimension_or(keys, "attention.sliding_window", CONTEXT, 128)? / 2,
        global_theta,
        local_theta: positive(keys, "rope.freq_base_swa", Some(10_000.0))?,
    })
}

fn activation(keys: &Keys<'_>) -> Result<Activation, Error> {
    match keys.metadata().str(&keys.full("hidden_activation")) {
        None | Some("gelu") => Ok(Activation::GeluErf),
        Some("silu") => Ok(Activation::Silu),
        Some(other) => {
            Err(Error::unsupported(keys.file, format!("hidden_activation {}", excerpt(other)), "gelu, silu"))
        }
    }
}

/// Scores where the file has a classifier, else vectors.
fn head(keys: &Keys<'_>, family: &EncoderFamily) -> Result<Head, Error> {
    if let Some(scores) = keys.header.tensors.get("cls.output.weight") {
        if !keys.has_tensor("cls.weight") {
            let expected = "safetensors, or a classifier of a RoBERTa, DistilBERT or ModernBERT in GGUF";
            return Err(Error::unsupported(keys.file, "a classifier without the pooler before it", expected));
        }
        let n_labels = scores.shape.first().copied().unwrap_or_default();
        return Ok(Head::Classification(Classification {
            labels: labels(keys, n_labels)?,
            is_multi_label: false,
            // Of ModernBERT alone; without a word its publisher's rerankers judge the mean.
            judges_mean: matches!(family, EncoderFamily::ModernBert(_))
                && keys.metadata().u64(&keys.full("classifier.pooling_type")) != Some(FIRST),
        }));
    }
    let pooling = match keys.metadata().u64(&keys.full("pooling_type")) {
        None | Some(0 | 1) => Pooling::Mean,
        Some(FIRST) => Pooling::First,
        Some(3) => Pooling::Last,
        Some(other) => {
            let found = format!("pooling_type {other} without a classifier");
            return Err(Error::unsupported(keys.file, found, "0 to 3: none, mean, first, last"));
        }
    };
    Ok(Head::Embedding(SentenceEmbedding { pooling, stages: vec![Stage::Normalize], max_tokens: None, prompt: None }))
}

/// The first token's row, of all ways to pool.
const FIRST: u64 = 2;

fn labels(keys: &Keys<'_>, n_labels: usize) -> Result<Vec<String>, Error> {
    match keys.metadata().strings(&keys.full("classifier.output_labels")) {
        None => Ok((0..n_labels).map(|nth| format!("LABEL_{nth}")).collect()),
        Some(labels) if labels.len() == n_labels => Ok(labels.to_vec()),
        Some(labels) => {
            let found = format!("{} labels for {n_labels} scores", labels.len());
            Err(Error::malformed(keys.file, 0, found, "a label for each"))
        }
    }
}

fn check(config: &EncoderConfig, file: &Path) -> Result<(), Error> {
    if !config.hidden.is_multiple_of(config.n_heads) {
        let found = format!("{} heads in a width of {}", config.n_heads, config.hidden);
        return Err(Error::malformed(file, 0, found, "a divisor of the width"));
    }
    if config.n_positions == 0 {
        return Err(Error::malformed(file, 0, "no positions", "at least one position for a text"));
    }
    Ok(())
}
