//! Pure: which files of a repository a server needs, when the user names none.

mod adapters;

use crate::error::FetchError;

#[cfg(test)]
mod tests;

/// Small files that belong to a model whatever its format.
const COMPANIONS: [&str; 22] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
    "2_Normalize/config.json",
];

/// Pickles of anything, and weights of frameworks that nothing here reads.
const UNREADABLE: [&str; 4] = [".pkl", ".pickle", ".msgpack", ".ckpt"];
const PYTORCH: [&str; 3] = [".bin", ".pt", ".pth"];
/// State of a training that lies beside the weights.
const TRAINING: [&str; 6] =
    ["training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "rng_state.pth"];
/// The last layer of some sentence embedders.
const DENSE: &str = "2_Dense/pytorch_model.bin";

/// Safetensors with what belongs to them, or else the only GGUF, or what can be converted; and the adapters beside it.
pub(super) fn choose(names: &[&str]) -> Result<Vec<String>, FetchError> {
    let (of_adapters, of_model): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| adapters::is_within(name));
    adapters::refuse_alone(&of_model)?;
    let mut chosen = choose_model(&of_model)?;
    chosen.extend(adapters::choose(&of_adapters)?);
    Ok(chosen)
}

fn choose_model(names: &[&str]) -> Result<Vec<String>, FetchError> {
    let weights = safetensors(&at_root(names, ".safetensors"), names)?;
    if !weights.is_empty() {
        return Ok(with_companions(weights, names));
    }
    let ggufs: Vec<&str> = names.iter().copied().filter(|name| name.to_lowercase().ends_with(".gguf")).collect();
    match ggufs.as_slice() {
        [one] => return Ok(vec![(*one).to_owned()]),
        [] => {}
        several => {
            return Err(FetchError::InvalidSource {
                fault: format!(
                    "the repository holds {} GGUF files; name one of them in files: {}",
                    several.len(),
                    enumerate(several.iter().copied())
                ),
            });
        }
    }
    let weights = match pytorch(names)? {
        weights if weights.is_empty() => tensorflow(names)?,
        weights => weights,
    };
    if weights.is_empty() {
        return Err(FetchError::UnsupportedModel {
            fault: format!(
                "the repository holds no weights in safetensors, GGUF, PyTorch or TensorFlow files; it holds: {}",
                enumerate(names.iter().copied())
            ),
        });
    }
    Ok(with_companions(weights, names))
}

fn at_root<'a>(names: &[&'a str], suffix: &str) -> Vec<&'a str> {
    names.iter().copied().filter(|name| name.ends_with(suffix) && !name.contains('/')).collect()
}

fn with_companions(weights: Vec<&str>, names: &[&str]) -> Vec<String> {
    let has_dense = names.contains(&"2_Dense/model.safetensors");
    let is_companion = |name: &str| COMPANIONS.contains(&name) || (name == DENSE && !has_dense);
    let companions = names.iter().copied().filter(|name| is_companion(name));
    let mut chosen: Vec<String> = weights.into_iter().chain(companions).map(str::to_owned).collect();
    chosen.sort();
    chosen.dedup();
    chosen
}

/// The shards with their table, the usual file, or the only one.
fn pytorch<'a>(names: &[&'a str]) -> Result<Vec<&'a str>, FetchError> {
    const INDEX: &str = "pytorch_model.bin.index.json";
    let files: Vec<&str> = PYTORCH.iter().flat_map(|suffix| at_root(names, suffix)).collect();
    let files: Vec<&str> = files.into_iter().filter(|name| !TRAINING.contains(name)).collect();
    if let Some(index) = names.iter().copied().find(|name| *name == INDEX) {
        let shards = files.into_iter().filter(|name| name.starts_with("pytorch_model-"));
        return Ok(shards.chain([index]).collect());
    }
    one_of(&files, "pytorch_model.bin", "PyTorch")
}

/// Keras' file (sharded or not), a SavedModel, or a checkpoint of TensorFlow 1.
fn tensorflow<'a>(names: &[&'a str]) -> Result<Vec<&'a str>, FetchError> {
    const INDEX: &str = "tf_model.h5.index.json";
    let files = at_root(names, ".h5");
    if let Some(index) = names.iter().copied().find(|name| *name == INDEX) {
        return Ok(files.into_iter().filter(|name| name.starts_with("tf_model-")).chain([index]).collect());
    }
    if !files.is_empty() {
        return one_of(&files, "tf_model.h5", "Keras");
    }
    let of_variables = |name: &&str| name.starts_with("variables/variables.") || *name == "saved_model.pb";
    if names.contains(&"variables/variables.index") {
        return Ok(names.iter().copied().filter(of_variables).collect());
    }
    let tables = at_root(names, ".index");
    let table = one_of(&tables, "model.ckpt.index", "TensorFlow")?;
    let stem = table.first().map(|table| format!("{}.data-", table.trim_end_matches(".index")));
    let data = names.iter().copied().filter(|name| stem.as_ref().is_some_and(|stem| name.starts_with(stem.as_str())));
    Ok(table.iter().copied().chain(data).collect())
}

fn one_of<'a>(files: &[&'a str], usual: &str, kind: &str) -> Result<Vec<&'a str>, FetchError> {
    match files {
        [] => Ok(vec![]),
        [one] => Ok(vec![*one]),
        several => match several.iter().find(|name| **name == usual) {
            Some(usual) => Ok(vec![*usual]),
            None => Err(FetchError::InvalidSource {
                fault: format!(
                    "the repository holds {} {kind} files and no {usual}; name those to convert in files: {}",
                    several.len(),
                    enumerate(several.iter().copied())
                ),
            }),
        },
    }
}

/// Whether servers open files of this name.
pub(crate) fn is_served(name: &str) -> bool {
    let name = name.to_lowercase();
    // What an adapter consists of says nothing about its base.
    if adapters::is_within(&name) {
        return false;
    }
    [".safetensors", ".gguf"].iter().any(|suffix| name.ends_with(suffix))
}

/// Whether files of this name hold weights that are converted.
pub(crate) fn is_convertible(name: &str) -> bool {
    let is_pytorch = PYTORCH.iter().any(|suffix| name.ends_with(suffix)) && !TRAINING.contains(&name);
    is_pytorch || name.strip_suffix(".h5").is_some() || name.contains(".data-0")
}

/// The weights in one form only: repositories often hold copies in other precisions or layouts.
fn safetensors<'a>(files: &[&'a str], names: &[&'a str]) -> Result<Vec<&'a str>, FetchError> {
    const INDEX: &str = "model.safetensors.index.json";
    let shards: Vec<&str> = files.iter().copied().filter(|name| is_shard(name)).collect();
    if let (Some(index), false) = (names.iter().copied().find(|name| *name == INDEX), shards.is_empty()) {
        return Ok(shards.into_iter().chain([index]).collect());
    }
    if files.contains(&"model.safetensors") {
        return Ok(vec!["model.safetensors"]);
    }
    match files {
        [] => Ok(vec![]),
        [one] => Ok(vec![*one]),
        several => Err(FetchError::InvalidSource {
            fault: format!(
                "the repository holds {} safetensors files and no {INDEX}; name those to serve in files: {}",
                several.len(),
                enumerate(several.iter().copied())
            ),
        }),
    }
}

/// `model-00001-of-00002.safetensors`.
fn is_shard(name: &str) -> bool {
    let middle = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
    middle.and_then(|middle| middle.split_once("-of-")).is_some_and(|(n, of)| {
        [n, of].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Refuses files that a user named and that nothing reads.
pub(super) fn refuse_unreadable(wanted: &[String]) -> Result<(), FetchError> {
    match wanted.iter().find(|name| UNREADABLE.iter().any(|suffix| name.to_lowercase().ends_with(suffix))) {
        None => Ok(()),
        Some(name) => Err(FetchError::UnsupportedModel {
            fault: format!(
                "'{name}' is of a kind that is not read; name safetensors, GGUF, PyTorch (.bin, .pt, .pth) or \
                 TensorFlow (.h5, .index with .data-…) files"
            ),
        }),
    }
}

/// A list for people, cut where it gets long.
pub(super) fn enumerate<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let names: Vec<String> = names.into_iter().map(|name| name.escape_debug().take(120).collect()).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        n if n > MOST => format!("{} and {} more", names[..MOST].join(", "), n - MOST),
        _ => names.join(", "),
    }
}
