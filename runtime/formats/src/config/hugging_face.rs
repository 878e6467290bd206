//! Configurations out of a `config.json`.

mod families;
mod rope;

#[cfg(test)]
mod tests;

use std::{ops::RangeInclusive, path::Path};

use alcazar_core::{
    Activation, DecoderConfig, Family, WeightNames,
    config::{Position, RopeConfig, RopeScaling},
};
use serde_json::Value;

use super::{
    CONTEXT, HEAD_DIM, HEADS, LAYERS, Sizes, Source, VOCABULARY, WIDTH, check, dimension, like_llama, positive,
    registry,
};
use crate::{Error, error::excerpt};

/// A `config.json`; keys are JSON pointers.
pub(crate) struct Keys<'a> {
    pub(crate) file: &'a Path,
    pub(crate) json: &'a Value,
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

impl Keys<'_> {
    fn bool(&self, key: &str) -> Option<bool> {
        self.json.pointer(key)?.as_bool()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.json.pointer(key)?.as_str()
    }

    fn list(&self, key: &str) -> Option<&[Value]> {
        self.json.pointer(key)?.as_array().map(Vec::as_slice)
    }

    /// The first of the keys that has a number; the last, if none has.
    fn among<'k>(&self, keys: &[&'k str]) -> &'k str {
        let last = keys.last().copied().unwrap_or_default();
        keys.iter().copied().find(|key| self.float(key).is_some()).unwrap_or(last)
    }

    fn dimension(&self, keys: &[&str], range: RangeInclusive<u64>, default: Option<usize>) -> Result<usize, Error> {
        let key = self.among(keys);
        match default {
            Some(default) if self.integer(key).is_none() => Ok(default),
            _ => dimension(self, key, range),
        }
    }

    fn unsupported(&self, found: String, supported: &str) -> Error {
        Error::unsupported(self.file, found, supported)
    }

    /// An option that changes what is computed, and that no code here follows.
    fn refuse(&self, key: &str) -> Result<(), Error> {
        match self.bool(key) {
            Some(true) => Err(self.unsupported(format!("{key} true"), "models without it")),
            _ => Ok(()),
        }
    }
}

/// The configuration, checked in itself.
pub(crate) fn decoder_config(json: &Value, file: &Path) -> Result<DecoderConfig, Error> {
    let name = json.get("model_type").and_then(Value::as_str).unwrap_or("");
    let Some(architecture) = registry::by_model_type(name) else {
        let supported = registry::listed(|row| row.model_type);
        return Err(Error::unsupported(file, format!("model_type {}", excerpt(name)), supported));
    };
    // What is about text, where a model sees as well.
    refuse_quantised(&Keys { file, json }, architecture.family)?;
    let json = json.get("text_config").filter(|_| matches!(name, "gemma3" | "mistral3")).unwrap_or(json);
    let keys = Keys { file, json };
    refuse_quantised(&keys, architecture.family)?;
    if let ("mistral3", Some(other)) =
        (name, keys.text("/model_type").filter(|kind| !["mistral", "mistral3"].contains(kind)))
    {
        return Err(keys.unsupported(format!("a mistral3 around {}", excerpt(other)), "one around mistral"));
    }
    let sizes = sizes(&keys, architecture)?;
    let mut config = like_llama(architecture.family, name, WeightNames::HuggingFace, &sizes);
    config.output.is_tied = keys.bool("/tie_word_embeddings").unwrap_or_else(|| is_tied(name));
    families::adapt(&keys, &mut config)?;
    if let Position::Rotary { global: RopeConfig { scaling: RopeScaling::Dynamic { factor, .. }, .. }, .. } =
        config.position
    {
        config.context_length = stretched(config.context_length, factor);
    }
    check(&config, file)?;
    Ok(config)
}

/// What dynamic scaling makes of a context: the file says the one before it.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both are positive, and the product is cut to what a context may be"
)]
fn stretched(context: usize, factor: f32) -> usize {
    (context as f32 * factor).min(*CONTEXT.end() as f32) as usize
}

fn refuse_quantised(keys: &Keys<'_>, family: Family) -> Result<(), Error> {
    let Some(config) = keys.json.get("quantization_config").filter(|config| !config.is_null()) else { return Ok(()) };
    let method = config.get("quant_method").and_then(Value::as_str).unwrap_or_default();
    if family == Family::GptOss && method == "mxfp4" {
        return Ok(());
    }
    let found = format!("a quantization_config of method {}", excerpt(method));
    Err(keys.unsupported(found, "plain weights, or GGUF for quantised ones"))
}

/// What transformers takes where a file does not say it.
fn is_tied(model_type: &str) -> bool {
    !matches!(
        model_type,
        "llama"
            | "mistral"
            | "qwen2"
            | "qwen3"
            | "phi3"
            | "olmo2"
            | "gpt_neox"
            | "mixtral"
            | "qwen3_moe"
            | "gptj"
            | "gpt_oss"
            | "olmo3"
            | "ministral"
            | "mistral3"
            | "granite"
            | "seed_oss"
            | "stablelm"
            | "exaone4"
            | "glm4"
    )
}

/// Dimensions, under the names that the families give them.
fn sizes(keys: &Keys<'_>, architecture: &registry::Architecture) -> Result<Sizes, Error> {
    let family = architecture.family;
    // The text part of a Gemma 3 that sees leaves out what is as in the smallest.
    let or = |n| (architecture.model_type == "gemma3").then_some(n);
    let hidden = keys.dimension(&["/hidden_size", "/n_embd", "/n_embed"], WIDTH, None)?;
    let n_heads = keys.dimension(&["/num_attention_heads", "/n_head", "/num_heads"], HEADS, or(8))?;
    let inner = ["/intermediate_size", "/n_inner", "/ffn_dim", "/ffn_hidden_size"];
    // Old models have four times the width, and often do not say it.
    let default = match family {
        Family::Gpt2 | Family::GptBigCode | Family::GptJ | Family::GptNeo | Family::Bloom | Family::Falcon => {
            Some(4 * hidden)
        }
        _ => None,
    };
    // With slopes instead of positions there is no longest context; these are what the models were trained with.
    let context = match family {
        Family::Bloom | Family::Falcon => Some(2048),
        _ => or(131_072),
    };
    let epsilon = ["/rms_norm_eps", "/layer_norm_epsilon", "/layer_norm_eps", "/norm_epsilon"];
    let default_epsilon = if matches!(family, Family::Llama | Family::Gemma | Family::Qwen3Moe) { 1e-6 } else { 1e-5 };
    Ok(Sizes {
        hidden,
        feed_forward: keys.dimension(&inner, WIDTH, default)?,
        n_layers: keys.dimension(&["/num_hidden_layers", "/n_layer", "/num_layers"], LAYERS, None)?,
        n_heads,
        n_kv_heads: keys.dimension(&["/num_key_value_heads"], HEADS, or(4).or(Some(n_heads)))?,
        head_dim: keys.dimension(&["/head_dim"], HEAD_DIM, or(256).or(Some(hidden / n_heads)))?,
        vocabulary: keys.dimension(&["/vocab_size"], VOCABULARY, or(262_208))?,
        context_length: keys.dimension(
            &["/n_positions", "/seq_length", "/max_position_embeddings"],
            CONTEXT,
            context,
        )?,
        norm_epsilon: positive(keys, keys.among(&epsilon), Some(default_epsilon))?,
    })
}

fn activation(keys: &Keys<'_>, default: &str) -> Result<Activation, Error> {
    let at = ["/hidden_act", "/hidden_activation", "/activation_function", "/activation"];
    match at.iter().find_map(|key| keys.text(key)).unwrap_or(default) {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::GeluErf),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => {
            let supported = "silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu";
            Err(keys.unsupported(format!("hidden_act {}", excerpt(other)), supported))
        }
    }
}
