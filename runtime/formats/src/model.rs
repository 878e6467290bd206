//! A model's files as one: dimensions, tensors, and where its text rules are.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use alcazar_core::{DecoderConfig, EncoderConfig, RawTensor, SourceError, WeightSource, WeightType};

use crate::{
    Access, Error, Facts, Format, Plain, config,
    error::excerpt,
    file::SourceFile,
    gguf::{self, Metadata, TensorEntry},
};

mod directory;
mod layout;
mod sentence;
mod vocabulary;

pub(crate) use layout::locate;
pub use vocabulary::Vocabulary;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

/// Kinds of GGUF tokenizers that `text` can build (`tokenizer.ggml.model`).
pub const TOKENIZERS: [&str; 2] = ["gpt2", "llama"];
/// Those of encoders.
pub const ENCODER_TOKENIZERS: [&str; 3] = ["bert", "gpt2", "t5"];
/// Ways of cutting text into words that `text` knows for the kind `gpt2` (`tokenizer.ggml.pre`).
pub const PRE_TOKENIZERS: [&str; 12] = [
    "default",
    "gpt-2",
    "roberta-bpe",
    "modern-bert",
    "smollm",
    "starcoder",
    "refact",
    "llama-bpe",
    "llama3",
    "qwen2",
    "deepseek-r1-qwen",
    "tekken",
];

/// An opened model: headers are parsed and checked, no weight is read yet.
#[derive(Debug)]
pub struct ModelFiles {
    facts: Facts,
    config: ModelConfig,
    text: TextSource,
    files: Vec<SourceFile>,
    tensors: HashMap<String, (usize, TensorEntry)>,
}

/// A model's dimensions.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelConfig {
    /// It goes on from a text.
    Decoder(Box<DecoderConfig>),
    /// It judges a text, or makes a vector of it.
    Encoder(Box<EncoderConfig>),
}

impl ModelConfig {
    /// The dimensions of a decoder.
    pub const fn decoder(&self) -> Option<&DecoderConfig> {
        match self {
            Self::Decoder(config) => Some(config),
            Self::Encoder(_) => None,
        }
    }

    /// The dimensions of an encoder.
    pub const fn encoder(&self) -> Option<&EncoderConfig> {
        match self {
            Self::Decoder(_) => None,
            Self::Encoder(config) => Some(config),
        }
    }

    /// What the model is for, as the publishers' hub calls it.
    pub const fn task(&self) -> &'static str {
        match self {
            Self::Decoder(_) => "text-generation",
            Self::Encoder(config) => config.head.task(),
        }
    }

    fn measures(&self) -> Measures {
        match self {
            Self::Decoder(config) => Measures {
                architecture: config.architecture.clone(),
                context_length: config.context_length,
                n_layers: config.n_layers(),
                vocabulary: config.vocabulary,
                // Keys and values in f16.
                cache_bytes_per_token: config.n_layers() * config.kv_width() * 4,
            },
            Self::Encoder(config) => Measures {
                architecture: config.architecture.clone(),
                context_length: config.max_tokens(),
                n_layers: config.n_layers,
                vocabulary: config.vocabulary,
                cache_bytes_per_token: 0,
            },
        }
    }
}

/// What is told of either kind.
struct Measures {
    architecture: String,
    context_length: usize,
    n_layers: usize,
    vocabulary: usize,
    cache_bytes_per_token: usize,
}

/// What a tokenizer and a chat template are made from.
#[derive(Debug)]
pub enum TextSource {
    /// The metadata of a GGUF file.
    Gguf(Metadata),
    /// Files beside the weights.
    Files(Box<TextFiles>),
}

/// The text files of a Hugging Face repository.
#[derive(Debug, Default)]
pub struct TextFiles {
    /// What its tokenizer is made from.
    pub vocabulary: Vocabulary,
    /// `tokenizer_config.json`, or null.
    pub tokenizer_config: serde_json::Value,
    /// `generation_config.json`, or null.
    pub generation_config: serde_json::Value,
    /// `config.json`.
    pub config: serde_json::Value,
    /// Content of `chat_template.jinja`.
    pub chat_template: Option<String>,
}

/// Reads what a model says of itself. The path is a `.gguf` file, a directory with one, a directory as the Hugging Face
/// hub has it, one of the hub's local cache (`models--OWNER--NAME`), or one of Ollama (`manifests` and `blobs`). An error
/// when the runtime could neither serve nor convert it.
pub fn inspect(path: &Path) -> Result<Facts, Error> {
    inspect_with(&Plain, path)
}

/// [`inspect`] of files that are opened otherwise.
pub fn inspect_with(access: &dyn Access, path: &Path) -> Result<Facts, Error> {
    let path = locate(path)?;
    if path.is_dir()
        && let directory::Found::Convertible(found) = directory::find(access, &path)?
    {
        return directory::facts_of(access, &path, &found);
    }
    open_with(access, &path).map(|files| files.facts)
}

/// Opens a model; see [`inspect`].
pub fn open(path: &Path) -> Result<ModelFiles, Error> {
    open_with(&Plain, path)
}

/// [`open`] of files that are opened otherwise.
pub fn open_with(access: &dyn Access, path: &Path) -> Result<ModelFiles, Error> {
    let path = &*locate(path)?;
    let metadata = std::fs::metadata(path).map_err(|source| Error::read(path, 0, source))?;
    if !metadata.is_dir() {
        return open_gguf(access, path);
    }
    match directory::find(access, path)? {
        directory::Found::Gguf(file) => open_gguf(access, &file),
        directory::Found::HuggingFace(shards) => directory::open(access, path, &shards),
        directory::Found::Convertible(found) => {
            let supported = "safetensors and GGUF files (alcazar-runtime fetch converts the others once)";
            Err(Error::unsupported(path, format!("{} files", found.format), supported))
        }
    }
}

fn open_gguf(access: &dyn Access, path: &Path) -> Result<ModelFiles, Error> {
    let file = SourceFile::open_with(access, path)?;
    let header = gguf::read_header(&file)?;
    if header.metadata.u64("split.count").is_some_and(|n| n > 1) {
        return Err(Error::unsupported(path, "one part of a split GGUF", "whole GGUF files (merge with gguf-split)"));
    }
    let (config, tokenizers): (_, &[&str]) = match config::gguf::encoder::architecture(&header) {
        Some(name) => {
            let config = config::gguf::encoder::encoder_config(&header, name, path)?;
            (ModelConfig::Encoder(Box::new(config)), &ENCODER_TOKENIZERS)
        }
        None => (ModelConfig::Decoder(Box::new(config::gguf::decoder_config(&header, path)?)), &TOKENIZERS),
    };
    let kind = header.metadata.str("tokenizer.ggml.model").unwrap_or("none");
    if !tokenizers.contains(&kind) {
        return Err(Error::unsupported(path, format!("tokenizer {}", excerpt(kind)), tokenizers.join(", ")));
    }
    let cut = header.metadata.str("tokenizer.ggml.pre").unwrap_or("default");
    if kind == "gpt2" && !PRE_TOKENIZERS.contains(&cut) {
        return Err(Error::unsupported(path, format!("pre-tokenizer {}", excerpt(cut)), PRE_TOKENIZERS.join(", ")));
    }
    let name = header.metadata.str("general.name").unwrap_or_default().to_owned();
    let has_chat_template = header.metadata.str("tokenizer.chat_template").is_some();
    let named = |name: String| match &config {
        ModelConfig::Encoder(config) => config::gguf::encoder::hugging_face_name(&config.family, &name),
        ModelConfig::Decoder(_) => name,
    };
    let tensors: HashMap<_, _> = header.tensors.into_iter().map(|(name, tensor)| (named(name), (0, tensor))).collect();
    let about = About { format: Format::Gguf, name, tokenizer: kind.to_owned(), has_chat_template };
    Ok(ModelFiles {
        facts: facts(about, &config, &tensors, file.length()),
        config,
        text: TextSource::Gguf(header.metadata),
        files: vec![file],
        tensors,
    })
}

struct About {
    format: Format,
    name: String,
    tokenizer: String,
    has_chat_template: bool,
}

fn facts(
    about: About,
    config: &ModelConfig,
    tensors: &HashMap<String, (usize, TensorEntry)>,
    size_bytes: u64,
) -> Facts {
    let mut types: BTreeMap<String, u64> = BTreeMap::new();
    let mut served_bytes: BTreeMap<WeightType, u64> = BTreeMap::new();
    let mut parameter_count = 0u64;
    for (name, (_, tensor)) in tensors {
        let elements = tensor.shape.iter().fold(1u64, |product, dim| product.saturating_mul(*dim as u64));
        let (stored, served, elements) = match tensor.weight_type {
            // Two numbers to a byte; their exponents are no weights.
            WeightType::U8 if name.ends_with("_scales") => continue,
            WeightType::U8 => (WeightType::MXFP4.to_string(), WeightType::MXFP4, elements.saturating_mul(2)),
            served => (tensor.stored_type(), served, elements),
        };
        *types.entry(stored).or_default() += 1;
        let bytes = served_bytes.entry(served).or_default();
        *bytes = bytes.saturating_add(tensor.served_bytes());
        parameter_count = parameter_count.saturating_add(elements);
    }
    let mut weight_types: Vec<_> = types.into_iter().collect();
    weight_types.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let refused = match config {
        ModelConfig::Decoder(_) if !about.has_chat_template => {
            vec!["chat requests: the model has no chat template".to_owned()]
        }
        ModelConfig::Decoder(_) => Vec::new(),
        ModelConfig::Encoder(_) => vec!["chat requests and completions: the model writes no text".to_owned()],
    };
    let measures = config.measures();
    Facts {
        format: about.format,
        architecture: measures.architecture,
        task: config.task().to_owned(),
        name: about.name,
        parameter_count,
        context_length: measures.context_length as u64,
        tensor_count: tensors.len() as u64,
        size_bytes,
        weight_types,
        served_bytes: served_bytes.into_iter().collect(),
        layers: u32::try_from(measures.n_layers).unwrap_or(u32::MAX),
        vocabulary: measures.vocabulary as u64,
        tokenizer: about.tokenizer,
        has_chat_template: about.has_chat_template,
        cache_bytes_per_token: measures.cache_bytes_per_token as u64,
        refused,
    }
}

impl ModelFiles {
    /// What the model says of itself.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Its dimensions.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What its tokenizer and template are made from.
    pub const fn text(&self) -> &TextSource {
        &self.text
    }

    /// The file that errors about the text rules should name.
    pub fn path(&self) -> PathBuf {
        self.files.first().map(|file| file.path().to_owned()).unwrap_or_default()
    }
}

impl WeightSource for ModelFiles {
    fn describe(&self, name: &str) -> Option<(WeightType, Vec<usize>)> {
        let (_, tensor) = self.tensors.get(name)?;
        Some((tensor.weight_type, tensor.shape.clone()))
    }

    fn read(&self, name: &str) -> Result<RawTensor<'_>, SourceError> {
        let failed = |message: String| SourceError { name: name.to_owned(), message };
        let found = self.tensors.get(name).and_then(|(file, tensor)| Some((self.files.get(*file)?, tensor)));
        let Some((file, tensor)) = found else {
            let message = format!("{} has no tensor of that name; the model is incomplete", self.path().display());
            return Err(failed(message));
        };
        let data = file.bytes_at(tensor.offset, tensor.n_bytes).map_err(|error| failed(error.to_string()))?;
        let (weight_type, data) = match tensor.packing {
            Some(packing) => packing.unpack(&data),
            None => (tensor.weight_type, data),
        };
        Ok(RawTensor { name: name.to_owned(), weight_type, shape: tensor.shape.clone(), data: Cow::Owned(data) })
    }
}
