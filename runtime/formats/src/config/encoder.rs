//! An encoder's dimensions out of a `config.json`.

mod deberta;
mod decoder;
mod head;
mod modern_bert;
pub(crate) mod registry;

use alcazar_core::{Activation, EncoderConfig, EncoderFamily, Head};
use serde_json::Value;

use super::{CONTEXT, HEADS, LAYERS, VOCABULARY, WIDTH, dimension, dimension_or, hugging_face::Keys, positive};
use crate::{Error, error::excerpt};

const TYPES: std::ops::RangeInclusive<u64> = 0..=16;

/// Whether `config.json` is that of an encoder, or of a decoder that was trained as one; `has_modules`: sentence-transformers
/// says how its rows become a vector.
pub(crate) fn is_encoder(json: &Value, has_modules: bool) -> bool {
    let is_known = json.get("model_type").and_then(Value::as_str).is_some_and(registry::is_known);
    is_known || decoder::is_encoder(json, has_modules)
}

/// The dimensions, checked against each other. `head` is what `modules.json` says, if there is one.
pub(crate) fn encoder_config(keys: &Keys<'_>, head: Option<Head>) -> Result<EncoderConfig, Error> {
    let architecture = keys.json.get("model_type").and_then(Value::as_str).unwrap_or_default();
    if !registry::is_known(architecture) {
        return decoder::config(keys, head);
    }
    let positions = keys.json.get("position_embedding_type").and_then(Value::as_str).unwrap_or("absolute");
    if positions != "absolute" {
        let found = format!("position_embedding_type {}", excerpt(positions));
        return Err(Error::unsupported(keys.file, found, "absolute"));
    }
    let config = match architecture {
        "distilbert" => distilbert(keys)?,
        "modernbert" => modern_bert::config(keys)?,
        _ => bert_like(keys, architecture)?,
    };
    let head = match head {
        Some(head) => head,
        None => head::read(keys)?,
    };
    let config = EncoderConfig { architecture: architecture.to_owned(), head, ..config };
    check(&config, keys)?;
    Ok(config)
}

/// Filled in by the caller.
const NO_HEAD: Head = Head::FillMask;

fn bert_like(keys: &Keys<'_>, architecture: &str) -> Result<EncoderConfig, Error> {
    let hidden = dimension(keys, "/hidden_size", WIDTH)?;
    let n_layers = dimension(keys, "/num_hidden_layers", LAYERS)?;
    let family = family(keys, architecture, n_layers)?;
    let embedding = match family {
        EncoderFamily::Electra | EncoderFamily::Albert { .. } => {
            dimension_or(keys, "/embedding_size", WIDTH, 128.min(hidden))?
        }
        _ => hidden,
    };
    // Padding has a position of its own, and texts begin behind it.
    let first_position = match family {
        EncoderFamily::Roberta | EncoderFamily::Mpnet { .. } => {
            dimension_or(keys, "/pad_token_id", 0..=1 << 16, 1)? + 1
        }
        _ => 0,
    };
    let has_types = !matches!(family, EncoderFamily::Mpnet { .. });
    Ok(EncoderConfig {
        family,
        architecture: String::new(),
        n_layers,
        hidden,
        embedding,
        feed_forward: dimension(keys, "/intermediate_size", WIDTH)?,
        n_heads: dimension(keys, "/num_attention_heads", HEADS)?,
        vocabulary: dimension(keys, "/vocab_size", VOCABULARY)?,
        n_types: if has_types { dimension_or(keys, "/type_vocab_size", TYPES, 2)? } else { 0 },
        n_positions: dimension_or(keys, "/max_position_embeddings", CONTEXT, 512)?,
        first_position,
        norm_epsilon: positive(keys, "/layer_norm_eps", Some(1e-12))?,
        activation: activation(keys, "/hidden_act", Activation::GeluErf)?,
        head: NO_HEAD,
    })
}

fn family(keys: &Keys<'_>, architecture: &str, n_layers: usize) -> Result<EncoderFamily, Error> {
    Ok(match architecture {
        "bert" => EncoderFamily::Bert,
        "roberta" | "xlm-roberta" | "camembert" => EncoderFamily::Roberta,
        "electra" => EncoderFamily::Electra,
        "albert" => {
            let n_groups = dimension_or(keys, "/num_hidden_groups", 1..=n_layers as u64, 1)?;
            // More than one layer in a group has never been published.
            dimension_or(keys, "/inner_group_num", 1..=1, 1)?;
            EncoderFamily::Albert { n_groups }
        }
        "mpnet" => {
            let n_buckets = dimension_or(keys, "/relative_attention_num_buckets", 4..=1 << 12, 32)?;
            EncoderFamily::Mpnet { n_buckets }
        }
        "deberta-v2" => EncoderFamily::Deberta(deberta::read(keys)?),
        other => {
            let found = format!("model_type {}", excerpt(other));
            return Err(Error::unsupported(keys.file, found, registry::supported()));
        }
    })
}

fn distilbert(keys: &Keys<'_>) -> Result<EncoderConfig, Error> {
    let hidden = dimension(keys, "/dim", WIDTH)?;
    Ok(EncoderConfig {
        family: EncoderFamily::DistilBert,
        architecture: String::new(),
        n_layers: dimension(keys, "/n_layers", LAYERS)?,
        hidden,
        embedding: hidden,
        feed_forward: dimension(keys, "/hidden_dim", WIDTH)?,
        n_heads: dimension(keys, "/n_heads", HEADS)?,
        vocabulary: dimension(keys, "/vocab_size", VOCABULARY)?,
        n_types: 0,
        n_positions: dimension_or(keys, "/max_position_embeddings", CONTEXT, 512)?,
        first_position: 0,
        norm_epsilon: 1e-12,
        activation: activation(keys, "/activation", Activation::GeluErf)?,
        head: NO_HEAD,
    })
}

/// By transformers' names.
fn activation(keys: &Keys<'_>, key: &str, default: Activation) -> Result<Activation, Error> {
    let Some(name) = keys.json.pointer(key).and_then(Value::as_str) else { return Ok(default) };
    Ok(match name {
        "gelu" => Activation::GeluErf,
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        "silu" | "swish" => Activation::Silu,
        "tanh" => Activation::Tanh,
        other => {
            let found = format!("{} {}", key.trim_start_matches('/'), excerpt(other));
            return Err(Error::unsupported(keys.file, found, "gelu, gelu_new, relu, silu, tanh"));
        }
    })
}

fn check(config: &EncoderConfig, keys: &Keys<'_>) -> Result<(), Error> {
    let malformed = |found: String, expected: &str| Err(Error::malformed(keys.file, 0, found, expected));
    if !config.hidden.is_multiple_of(config.n_heads) {
        return malformed(
            format!("{} heads in a width of {}", config.n_heads, config.hidden),
            "a divisor of the width",
        );
    }
    if config.max_tokens() == 0 {
        let found = format!("{} positions, the first used is {}", config.n_positions, config.first_position);
        return malformed(found, "at least one position for a text");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
