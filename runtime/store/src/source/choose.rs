//! Pure: which files of a repository a server needs, when the user names none.

use crate::error::FetchError;

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

/// Formats that can run code when they are opened.
const PICKLES: [&str; 7] = [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack"];

/// Safetensors with what belongs to them, or else the only GGUF.
pub(super) fn choose(names: &[&str]) -> Result<Vec<String>, FetchError> {
    let at_root = |suffix: &str| -> Vec<&str> {
        names.iter().copied().filter(|name| name.ends_with(suffix) && !name.contains('/')).collect()
    };
    let weights = safetensors(&at_root(".safetensors"), names)?;
    if !weights.is_empty() {
        let companions = names.iter().copied().filter(|name| COMPANIONS.contains(name));
        let mut chosen: Vec<String> = weights.into_iter().chain(companions).map(str::to_owned).collect();
        chosen.sort();
        chosen.dedup();
        return Ok(chosen);
    }
    let ggufs: Vec<&str> = names.iter().copied().filter(|name| name.to_lowercase().ends_with(".gguf")).collect();
    match ggufs.as_slice() {
        [one] => Ok(vec![(*one).to_owned()]),
        [] => Err(FetchError::UnsupportedModel {
            fault: format!(
                "the repository holds neither safetensors nor GGUF files, which are what is served; it holds: {}",
                enumerate(names.iter().copied())
            ),
        }),
        several => Err(FetchError::InvalidSource {
            fault: format!(
                "the repository holds {} GGUF files; name one of them in files: {}",
                several.len(),
                enumerate(several.iter().copied())
            ),
        }),
    }
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

/// Refuses files that a user named and that would have to be unpickled.
pub(super) fn refuse_pickles(wanted: &[String]) -> Result<(), FetchError> {
    match wanted.iter().find(|name| PICKLES.iter().any(|suffix| name.to_lowercase().ends_with(suffix))) {
        None => Ok(()),
        Some(name) => Err(FetchError::UnsupportedModel {
            fault: format!("'{name}' is a pickle or checkpoint, which is not served; name safetensors or GGUF files"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[&str]) {
        assert_eq!(choose(names).expect("choice"), expected, "{names:?}");
    }

    #[test]
    fn safetensors_come_with_their_companions_only() {
        check(
            &[
                ".gitattributes",
                "README.md",
                "config.json",
                "model.safetensors",
                "onnx/model.onnx",
                "pytorch_model.bin",
                "tokenizer.json",
                "model.fp16.safetensors",
                "x.gguf",
            ],
            &["config.json", "model.safetensors", "tokenizer.json"],
        );
    }

    #[test]
    fn shards_need_their_index_and_win_over_copies() {
        check(
            &[
                "config.json",
                "consolidated.safetensors",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
                "original/model.safetensors",
            ],
            &[
                "config.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
            ],
        );
    }

    #[test]
    fn a_single_gguf_is_enough() {
        check(&["README.md", "config.json", "SmolLM2.q4.gguf"], &["SmolLM2.q4.gguf"]);
    }

    #[test]
    fn what_is_ambiguous_or_unsupported_says_what_was_found() {
        let error = choose(&["a.gguf", "b.gguf"]).expect_err("two");
        assert_eq!(error.reason().as_str(), "InvalidSource");
        assert!(error.to_string().contains("a.gguf, b.gguf") && error.to_string().contains("files"), "{error}");
        let error = choose(&["pytorch_model.bin", "config.json"]).expect_err("pickle");
        assert_eq!(error.reason().as_str(), "UnsupportedModel");
        assert!(error.to_string().contains("pytorch_model.bin"), "{error}");
        assert!(choose(&["a.safetensors", "b.safetensors"]).is_err());
        assert!(choose(&[]).expect_err("none").to_string().contains("nothing"));
        assert!(refuse_pickles(&["Model.PT".to_owned()]).is_err());
        assert!(refuse_pickles(&["model.gguf".to_owned()]).is_ok());
    }
}
