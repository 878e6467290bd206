//! Decoders that were trained to make vectors or to judge texts.

use alcazar_core::{Activation, EncoderConfig, EncoderFamily, Head};
use serde_json::Value;

use super::head;
use crate::{
    Error,
    config::{
        hugging_face::{Keys, decoder_config},
        registry,
    },
};

/// Classes without a head. Of other families such a class is mostly an old name of a model that writes text.
const BARE: [&str; 5] = ["Gemma2Model", "LlamaModel", "MistralModel", "Qwen2Model", "Qwen3Model"];

/// By its class, or because sentence-transformers has modules for it.
pub(super) fn is_encoder(json: &Value, has_modules: bool) -> bool {
    let class = json.pointer("/architectures/0").and_then(Value::as_str).unwrap_or_default();
    let is_decoder =
        json.get("model_type").and_then(Value::as_str).is_some_and(|name| registry::by_model_type(name).is_some());
    is_decoder && (has_modules || BARE.contains(&class) || class.ends_with("ForSequenceClassification"))
}

/// The dimensions of the decoder, and what is made of its rows.
pub(super) fn config(keys: &Keys<'_>, head: Option<Head>) -> Result<EncoderConfig, Error> {
    let mut config = decoder_config(keys.json, keys.file)?;
    // Its table of scores is not used, and mostly not there.
    config.output.is_tied = true;
    let head = match head {
        Some(head) => head,
        None => head::read(keys)?,
    };
    Ok(EncoderConfig {
        architecture: config.architecture.clone(),
        n_layers: config.n_layers(),
        hidden: config.hidden,
        embedding: config.input.width.unwrap_or(config.hidden),
        feed_forward: config.feed_forward,
        n_heads: config.n_heads,
        vocabulary: config.vocabulary,
        n_types: 0,
        n_positions: config.context_length,
        first_position: 0,
        norm_epsilon: config.block.norm_epsilon,
        activation: Activation::Silu,
        head,
        family: EncoderFamily::Decoder(Box::new(config)),
    })
}
