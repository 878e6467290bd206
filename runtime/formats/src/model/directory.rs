//! A directory that holds one model.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use alcazar_core::{DecoderConfig, WeightType};
use serde_json::Value;

use super::{About, ModelFiles, TextFiles, TextSource, facts};
use crate::{
    Error, Facts, Format,
    checkpoint::{self, Element, convert, read_index, shard_paths},
    config,
    error::excerpt,
    file::{SourceFile, read_small},
    gguf::TensorEntry,
    safetensors,
};

const CONFIG_LIMIT: u64 = 4 << 20;
const TOKENIZER_LIMIT: u64 = 128 << 20;
const FILE_LIMIT: usize = 10_000;

/// What a directory turned out to be.
pub(super) enum Found {
    Gguf(PathBuf),
    /// The weight files.
    HuggingFace(Vec<PathBuf>),
    /// Weights that are not served as they are.
    Convertible(checkpoint::Found),
}

pub(super) fn find(path: &Path) -> Result<Found, Error> {
    let (mut gguf, mut safetensors, mut n_files) = (Vec::new(), Vec::new(), 0);
    let failed = |source| Error::read(path, 0, source);
    for entry in std::fs::read_dir(path).map_err(failed)?.take(FILE_LIMIT) {
        let file = entry.map_err(failed)?.path();
        n_files += 1;
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("gguf") => gguf.push(file),
            Some("safetensors") => safetensors.push(file),
            _ => {}
        }
    }
    safetensors.sort();
    let not_one = |found: String, expected: &str| {
        Err(Error::NotOneModel { path: path.to_owned(), found, expected: expected.to_owned() })
    };
    match (gguf.as_slice(), safetensors.len()) {
        ([file], 0) => Ok(Found::Gguf(file.clone())),
        ([_, ..], 1..) => not_one("GGUF and safetensors files".to_owned(), "one kind; list the files to fetch"),
        ([_, _, ..], _) => not_one(format!("{} GGUF files", gguf.len()), "one; list the file to fetch"),
        ([], 1..) if path.join("config.json").exists() => Ok(Found::HuggingFace(safetensors)),
        ([], 1..) => not_one("safetensors files without config.json".to_owned(), "config.json beside them"),
        ([], 0) => match checkpoint::Found::look(path)? {
            Some(found) => Ok(Found::Convertible(found)),
            None => not_one(
                format!("{n_files} files, no weights among them"),
                "one .gguf file, or .safetensors files with config.json and tokenizer.json",
            ),
        },
    }
}

/// What is known of a checkpoint that is to be converted.
pub(super) fn facts_of(path: &Path, found: &checkpoint::Found) -> Result<Facts, Error> {
    let config_path = path.join("config.json");
    let json = read_json(&config_path, CONFIG_LIMIT)?.unwrap_or(Value::Null);
    let config = config::hugging_face::decoder_config(&json, &config_path)?;
    let checkpoint = found.open(path)?;
    let mut tensors = Tensors::new();
    for tensor in checkpoint.tensors() {
        if let Some(weight_type) = weight_type(tensor.element) {
            let (shape, n_bytes) = (tensor.shape.clone(), tensor.written_bytes());
            tensors.insert(
                tensor.name.clone(),
                (0, TensorEntry { weight_type, packing: None, shape, offset: 0, n_bytes }),
            );
        }
    }
    check_embedding(&config, &tensors, &config_path)?;
    let about = about(found.format, &read_text(path, json)?);
    let mut facts = facts(about, &config, &tensors, checkpoint.size_bytes());
    let how = "alcazar-runtime fetch converts it once to safetensors, which are served";
    facts.refused.insert(0, format!("serving it as it is: {how}"));
    Ok(facts)
}

/// As the converted file will have it; `None`: numbers that are no weights.
const fn weight_type(element: Element) -> Option<WeightType> {
    match element {
        Element::F64 | Element::F32 => Some(WeightType::F32),
        Element::F16 => Some(WeightType::F16),
        Element::BF16 => Some(WeightType::BF16),
        _ => None,
    }
}

pub(super) fn open(path: &Path, found: &[PathBuf]) -> Result<ModelFiles, Error> {
    let config_path = path.join("config.json");
    let json = read_json(&config_path, CONFIG_LIMIT)?.unwrap_or(Value::Null);
    let config = config::hugging_face::decoder_config(&json, &config_path)?;
    let (files, tensors) = open_shards(path, found)?;
    check_embedding(&config, &tensors, &config_path)?;
    let text = read_text(path, json)?;
    let about = about(Format::Safetensors, &text);
    let size = files.iter().map(SourceFile::length).sum();
    Ok(ModelFiles {
        facts: facts(about, &config, &tensors, size),
        config,
        text: TextSource::Files(Box::new(text)),
        files,
        tensors,
    })
}

fn about(format: Format, text: &TextFiles) -> About {
    About {
        format,
        name: text.config.get("_name_or_path").and_then(Value::as_str).unwrap_or_default().to_owned(),
        tokenizer: "tokenizer.json".to_owned(),
        has_chat_template: text.chat_template.is_some()
            || text.tokenizer_config.get("chat_template").is_some_and(|template| !template.is_null()),
    }
}

type Tensors = HashMap<String, (usize, TensorEntry)>;

fn open_shards(path: &Path, found: &[PathBuf]) -> Result<(Vec<SourceFile>, Tensors), Error> {
    let index = path.join(convert::INDEX);
    let paths = match &read_index(&index)? {
        Some(table) => shard_paths(path, table, &index)?,
        None => found.to_vec(),
    };
    let (mut files, mut tensors) = (Vec::new(), Tensors::new());
    for shard in paths {
        let file = SourceFile::open(&shard)?;
        for (name, tensor) in safetensors::read_header(&file)? {
            let shown = excerpt(&name);
            if tensors.insert(present_name(name), (files.len(), tensor)).is_some() {
                return Err(Error::malformed(&shard, 8, format!("tensor {shown} of another file"), "each tensor once"));
            }
        }
        files.push(file);
    }
    Ok((files, tensors))
}

/// The first BERTs have TensorFlow's names for two weights; transformers renames them whenever it loads a file.
fn present_name(name: String) -> String {
    for (old, new) in [("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")] {
        if let Some(start) = name.strip_suffix(old) {
            return format!("{start}{new}");
        }
    }
    name
}

fn check_embedding(config: &DecoderConfig, tensors: &Tensors, file: &Path) -> Result<(), Error> {
    let shape = tensors.get("model.embed_tokens.weight").map(|(_, tensor)| tensor.shape.clone());
    let expected = vec![config.vocabulary, config.hidden];
    if shape.as_ref() == Some(&expected) {
        return Ok(());
    }
    let found = format!("model.embed_tokens.weight of shape {shape:?}");
    Err(Error::malformed(file, 0, found, format!("{expected:?}, as config.json has it")))
}

fn read_text(path: &Path, config: Value) -> Result<TextFiles, Error> {
    let tokenizer_path = path.join("tokenizer.json");
    let Some(tokenizer) = read_small(&tokenizer_path, TOKENIZER_LIMIT)? else {
        return Err(Error::NotOneModel {
            path: path.to_owned(),
            found: "no tokenizer.json".to_owned(),
            expected: "tokenizer.json beside config.json; add it to the files to fetch".to_owned(),
        });
    };
    let template_path = path.join("chat_template.jinja");
    let chat_template = read_small(&template_path, CONFIG_LIMIT)?
        .map(|bytes| {
            String::from_utf8(bytes)
                .map_err(|error| Error::malformed(&template_path, 0, format!("no UTF-8: {error}"), "UTF-8"))
        })
        .transpose()?;
    Ok(TextFiles {
        tokenizer,
        tokenizer_config: read_json(&path.join("tokenizer_config.json"), CONFIG_LIMIT)?.unwrap_or(Value::Null),
        generation_config: read_json(&path.join("generation_config.json"), CONFIG_LIMIT)?.unwrap_or(Value::Null),
        config,
        chat_template,
    })
}

fn read_json(path: &Path, limit: u64) -> Result<Option<Value>, Error> {
    let Some(bytes) = read_small(path, limit)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::malformed(path, 0, format!("no JSON: {error}"), "JSON"))
}
