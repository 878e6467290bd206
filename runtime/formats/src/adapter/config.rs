//! `adapter_config.json`: the settings of PEFT's `LoraConfig`.

use std::path::Path;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::MAX_RANK;
use crate::{Error, error::excerpt};

/// Keys of `rank_pattern` and `alpha_pattern`; more than a pair for each matrix of the largest models.
const PATTERN_LIMIT: usize = 4096;
/// Memory of one compiled key.
const REGEX_BYTES: usize = 1 << 20;

/// What the settings mean to the computation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Ranks that matrices may have.
    pub(super) ranks: Vec<usize>,
    alpha: f64,
    /// Alphas of modules that match a key, in the order of the file.
    alphas: Vec<(String, f64)>,
    /// Divided by the root of the rank (rsLoRA).
    by_root: bool,
}

/// A setting, the values without a meaning to us, and what to do about others.
type Refusal = (&'static str, fn(&Value) -> bool, &'static str);

const RETRAIN: &str = "train it without";
const REFUSED: [Refusal; 12] = [
    ("use_dora", is_off, "DoRA scales the base's own matrices and is not served; train it with use_dora=False"),
    ("bias", |value| is_off(value) || value == "none", "biases are not served; train it with bias=\"none\""),
    ("lora_bias", is_off, "biases are not served; train it with lora_bias=False"),
    ("modules_to_save", is_off, "whole modules are not served with an adapter; train it without, or merge it"),
    ("trainable_token_indices", is_off, "changed tokens are not served with an adapter; train it without, or merge it"),
    ("target_parameters", is_off, "parameters outside of linear modules are not served; name target_modules instead"),
    ("layer_replication", is_off, "the base's layers are served once each; train it without"),
    ("use_qalora", is_off, RETRAIN),
    ("use_bdlora", is_off, RETRAIN),
    ("alora_invocation_tokens", is_off, "an adapter is active from the first token on; train it without"),
    ("arrow_config", is_off, RETRAIN),
    ("kasa_config", is_off, RETRAIN),
];

/// Beginnings that leave the base's matrices as they are. The others take a part of them away, which must be put back
/// into the adapter before it is served with the base.
const INITIALISATIONS: [&str; 4] = ["gaussian", "eva", "orthogonal", "true"];

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        _ => false,
    }
}

/// `path` is the adapter's directory, `file` its settings.
pub(super) fn read(json: &Value, path: &Path, file: &Path) -> Result<Settings, Error> {
    let malformed = |found: String, expected: &str| Error::malformed(file, 0, found, expected.to_owned());
    let Some(json) = json.as_object() else { return Err(malformed("no object".to_owned(), "an object")) };
    let kind = json.get("peft_type").and_then(Value::as_str).unwrap_or("none");
    if kind != "LORA" {
        let found = format!("peft_type {}", excerpt(kind));
        return Err(Error::adapter(path, found, "LORA is served; train it as such, or merge it into the model"));
    }
    for (name, is_served, remedy) in REFUSED {
        if let Some(value) = json.get(name).filter(|value| !is_served(value)) {
            return Err(Error::adapter(path, format!("{name} {}", excerpt(&value.to_string())), remedy));
        }
    }
    if let Some(Value::String(how)) = json.get("init_lora_weights")
        && !INITIALISATIONS.contains(&how.to_lowercase().as_str())
    {
        let remedy =
            "it changes the base; save it with path_initial_model_for_weight_conversion, which makes it a LoRA";
        return Err(Error::adapter(path, format!("init_lora_weights {}", excerpt(how)), remedy));
    }
    let mut ranks = vec![rank(json.get("r"), path, file)?];
    for (_, value) in pattern(json, "rank_pattern", file)? {
        ranks.push(rank(Some(value), path, file)?);
    }
    let alphas = pattern(json, "alpha_pattern", file)?;
    let alphas = alphas.map(|(key, value)| Ok((key.clone(), alpha(Some(value), file)?)));
    Ok(Settings {
        ranks,
        alpha: alpha(json.get("lora_alpha"), file)?,
        alphas: alphas.collect::<Result<_, Error>>()?,
        by_root: json.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn rank(value: Option<&Value>, path: &Path, file: &Path) -> Result<usize, Error> {
    let Some(rank) = value.and_then(Value::as_u64).and_then(|rank| usize::try_from(rank).ok()).filter(|rank| *rank > 0)
    else {
        let found = format!("a rank of {}", excerpt(&value.unwrap_or(&Value::Null).to_string()));
        return Err(Error::malformed(file, 0, found, "a whole number from 1 on"));
    };
    if rank > MAX_RANK {
        return Err(Error::adapter(
            path,
            format!("rank {rank}"),
            format!("ranks up to {MAX_RANK} are served; merge it"),
        ));
    }
    Ok(rank)
}

fn alpha(value: Option<&Value>, file: &Path) -> Result<f64, Error> {
    match value.and_then(Value::as_f64) {
        Some(alpha) if alpha.abs() < 1e6 => Ok(alpha),
        _ => {
            let found = format!("an alpha of {}", excerpt(&value.unwrap_or(&Value::Null).to_string()));
            Err(Error::malformed(file, 0, found, "a number below a million"))
        }
    }
}

fn pattern<'a>(
    json: &'a Map<String, Value>,
    name: &str,
    file: &Path,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, Error> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(None.into_iter().flatten()),
        Some(Value::Object(keys)) if keys.len() <= PATTERN_LIMIT => Ok(Some(keys).into_iter().flatten()),
        Some(Value::Object(keys)) => {
            Err(Error::malformed(file, 0, format!("{} keys in {name}", keys.len()), format!("at most {PATTERN_LIMIT}")))
        }
        Some(_) => Err(Error::malformed(file, 0, format!("a {name} that is no object"), "an object")),
    }
}

impl Settings {
    /// What is added to each of the modules is multiplied by this. `modules`: names and ranks.
    pub(super) fn scales(&self, modules: &[(&str, usize)], path: &Path) -> Result<Vec<f32>, Error> {
        let mut alphas: Vec<Option<f64>> = vec![None; modules.len()];
        // The first key that matches counts. One is compiled at a time, whatever there are.
        for (key, alpha) in &self.alphas {
            let regex = compile(key).ok_or_else(|| {
                let found = format!("the key {} in alpha_pattern", excerpt(key));
                Error::adapter(path, found, "write it as a module's name or a regular expression without lookaround")
            })?;
            for ((module, _), slot) in modules.iter().zip(&mut alphas) {
                if slot.is_none() && regex.is_match(module) {
                    *slot = Some(*alpha);
                }
            }
        }
        let one = |((_, rank), alpha): (&(&str, usize), Option<f64>)| {
            let rank = f64::from(u32::try_from(*rank).unwrap_or(u32::MAX));
            let by = if self.by_root { rank.sqrt() } else { rank };
            #[expect(clippy::cast_possible_truncation, reason = "products are computed in f32")]
            let scale = (alpha.unwrap_or(self.alpha) / by) as f32;
            scale
        };
        Ok(modules.iter().zip(alphas).map(one).collect())
    }
}

/// A key as PEFT matches it: the end of a module's name, from a dot on.
fn compile(key: &str) -> Option<Regex> {
    RegexBuilder::new(&format!(r"^(?:.*\.)?(?:{key})$")).size_limit(REGEX_BYTES).build().ok()
}
