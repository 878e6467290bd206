//! A directory that holds one model.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use alcazar_core::{EncoderFamily, Head, WeightType};
use serde_json::Value;

use super::{
    About, ModelConfig, ModelFiles, TextFiles, TextSource, facts,
    sentence::{self, Sentence},
    vocabulary::{Vocabulary, read_text},
};
use crate::{
    Access, Error, Facts, Format, adapter,
    checkpoint::{self, Element, convert, read_index, shard_paths},
    config,
    error::excerpt,
    file::{SourceFile, read_small},
    gguf::TensorEntry,
    safetensors,
};

pub(super) const CONFIG_LIMIT: u64 = 4 << 20;
const FILE_LIMIT: usize = 10_000;

/// What a directory turned out to be.
pub(super) enum Found {
    Gguf(PathBuf),
    /// The weight files.
    HuggingFace(Vec<PathBuf>),
    /// Weights that are not served as they are.
    Convertible(checkpoint::Found),
}

pub(super) fn find(access: &dyn Access, path: &Path) -> Result<Found, Error> {
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
        ([], 1..) if path.join(adapter::CONFIG).exists() => {
            let expected = format!("its base, with the adapter in {}/NAME", adapter::FOLDER);
            not_one("a LoRA adapter alone".to_owned(), &expected)
        }
        ([], 1..) => not_one("safetensors files without config.json".to_owned(), "config.json beside them"),
        ([], 0) => match checkpoint::Found::look(access, path)? {
            Some(found) => Ok(Found::Convertible(found)),
            None => not_one(
                format!("{n_files} files, no weights among them"),
                "one .gguf file, or .safetensors files with config.json and a vocabulary",
            ),
        },
    }
}

/// What is known of a checkpoint that is to be converted.
pub(super) fn facts_of(access: &dyn Access, path: &Path, found: &checkpoint::Found) -> Result<Facts, Error> {
    let config_path = path.join("config.json");
    let json = read_json(access, &config_path, CONFIG_LIMIT)?.unwrap_or(Value::Null);
    let checkpoint = found.open(access, path)?;
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
    let is_encoder = config::encoder::is_encoder(&json, sentence::is_there(path));
    let sentence = if is_encoder { sentence::read(access, path)? } else { None };
    let config = model_config(&json, &config_path, is_encoder, sentence, &tensors)?;
    let about = about(found.format, &read_texts(access, path, json, is_encoder)?);
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

/// The dimensions, which the table of tokens must have.
fn model_config(
    json: &Value,
    file: &Path,
    is_encoder: bool,
    sentence: Option<Sentence>,
    tensors: &Tensors,
) -> Result<ModelConfig, Error> {
    if is_encoder {
        let head = sentence.map(|sentence| Head::Embedding(sentence.embedding));
        let config = config::encoder::encoder_config(&config::hugging_face::Keys { file, json }, head)?;
        let is_decoder = matches!(config.family, EncoderFamily::Decoder(_));
        let tables: &[&str] = if is_decoder { &DECODER_TABLES } else { &ENCODER_TABLES };
        check_table(tables, [config.vocabulary, config.embedding], tensors, file)?;
        return Ok(ModelConfig::Encoder(Box::new(config)));
    }
    let config = config::hugging_face::decoder_config(json, file)?;
    let width = config.input.width.unwrap_or(config.hidden);
    check_table(&DECODER_TABLES, [config.vocabulary, width], tensors, file)?;
    Ok(ModelConfig::Decoder(Box::new(config)))
}

pub(super) fn open(access: &dyn Access, path: &Path, found: &[PathBuf]) -> Result<ModelFiles, Error> {
    let config_path = path.join("config.json");
    let json = read_json(access, &config_path, CONFIG_LIMIT)?.unwrap_or(Value::Null);
    let (mut files, mut tensors) = open_shards(access, path, found)?;
    let is_encoder = config::encoder::is_encoder(&json, sentence::is_there(path));
    let sentence = if is_encoder { sentence::read(access, path)? } else { None };
    for (prefix, shard) in sentence.iter().flat_map(|sentence| &sentence.weights) {
        add_shard(access, shard, prefix, &mut files, &mut tensors)?;
    }
    let config = model_config(&json, &config_path, is_encoder, sentence, &tensors)?;
    let text = read_texts(access, path, json, is_encoder)?;
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
        tokenizer: text.vocabulary.name().to_owned(),
        has_chat_template: text.chat_template.is_some()
            || text.tokenizer_config.get("chat_template").is_some_and(|template| !template.is_null()),
    }
}

type Tensors = HashMap<String, (usize, TensorEntry)>;

fn open_shards(access: &dyn Access, path: &Path, found: &[PathBuf]) -> Result<(Vec<SourceFile>, Tensors), Error> {
    let index = path.join(convert::INDEX);
    let paths = match &read_index(access, &index)? {
        Some(table) => shard_paths(path, table, &index)?,
        None => found.to_vec(),
    };
    let (mut files, mut tensors) = (Vec::new(), Tensors::new());
    for shard in paths {
        add_shard(access, &shard, "", &mut files, &mut tensors)?;
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

/// The tensors of one file, their names below `prefix`.
fn add_shard(
    access: &dyn Access,
    shard: &Path,
    prefix: &str,
    files: &mut Vec<SourceFile>,
    tensors: &mut Tensors,
) -> Result<(), Error> {
    let file = SourceFile::open_with(access, shard)?;
    for (name, tensor) in safetensors::read_header(&file)? {
        let shown = excerpt(&name);
        if tensors.insert(format!("{prefix}{}", present_name(name)), (files.len(), tensor)).is_some() {
            return Err(Error::malformed(shard, 8, format!("tensor {shown} of another file"), "each tensor once"));
        }
    }
    files.push(file);
    Ok(())
}

/// What the table of tokens is called in the families' files, whatever comes before.
const DECODER_TABLES: [&str; 4] = ["embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight"];
const ENCODER_TABLES: [&str; 2] = ["word_embeddings.weight", "tok_embeddings.weight"];

fn check_table(names: &[&str], expected: [usize; 2], tensors: &Tensors, file: &Path) -> Result<(), Error> {
    let is_table = |name: &str| {
        names.iter().any(|end| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    };
    match tensors.iter().find(|(name, _)| is_table(name)) {
        Some((_, (_, tensor))) if tensor.shape == expected => Ok(()),
        Some((name, (_, tensor))) => {
            let found = format!("{} of shape {:?}", excerpt(name), tensor.shape);
            Err(Error::malformed(file, 0, found, format!("{expected:?}, as config.json has it")))
        }
        None => {
            let found = format!("a config.json of a model without {}", names.join(" or "));
            Err(Error::malformed(file, 0, found, "weights of the architecture that config.json names"))
        }
    }
}

fn read_texts(access: &dyn Access, path: &Path, config: Value, is_encoder: bool) -> Result<TextFiles, Error> {
    let json = |name: &str| Ok::<_, Error>(read_json(access, &path.join(name), CONFIG_LIMIT)?.unwrap_or(Value::Null));
    let vocabulary = Vocabulary::read(access, path)?;
    if is_encoder {
        vocabulary.check_for_encoder(path)?;
    }
    Ok(TextFiles {
        vocabulary,
        tokenizer_config: json("tokenizer_config.json")?,
        generation_config: json("generation_config.json")?,
        config,
        chat_template: read_text(access, &path.join("chat_template.jinja"), CONFIG_LIMIT)?,
    })
}

pub(super) fn read_json(access: &dyn Access, path: &Path, limit: u64) -> Result<Option<Value>, Error> {
    let Some(bytes) = read_small(access, path, limit)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::malformed(path, 0, format!("no JSON: {error}"), "JSON"))
}
