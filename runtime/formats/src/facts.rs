//! What a model file says of itself.

use std::fmt;

use alcazar_core::WeightType;
use serde::Serialize;

/// Containers of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Format {
    /// One file with weights, tokenizer and template.
    #[serde(rename = "GGUF")]
    Gguf,
    /// A directory as the Hugging Face hub has it.
    Safetensors,
    /// What `torch.save` writes. `fetch` converts it; it is not served.
    PyTorch,
    /// A checkpoint, SavedModel or Keras file. `fetch` converts it; it is not served.
    TensorFlow,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gguf => "GGUF",
            Self::Safetensors => "Safetensors",
            Self::PyTorch => "PyTorch",
            Self::TensorFlow => "TensorFlow",
        })
    }
}

/// What is known before any weight is read; `alcazar-runtime inspect` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Container.
    pub format: Format,
    /// As the file names it, for example `llama`.
    pub architecture: String,
    /// What it is for, as the publishers' hub calls it, for example `text-generation`.
    pub task: String,
    /// What its publisher calls it; empty when the file does not say.
    pub name: String,
    /// Number of weights.
    pub parameter_count: u64,
    /// Longest context the model was made for, in tokens.
    pub context_length: u64,
    /// Number of tensors.
    pub tensor_count: u64,
    /// Bytes of all weight files.
    pub size_bytes: u64,
    /// Tensors by how they are stored, most frequent first.
    pub weight_types: Vec<(String, u64)>,
    /// Bytes of all weights by the type in which a backend gets them, which knows what memory each takes.
    #[serde(skip)]
    pub served_bytes: Vec<(WeightType, u64)>,
    /// Layers.
    pub layers: u32,
    /// Entries of the vocabulary.
    pub vocabulary: u64,
    /// Kind of tokenizer.
    pub tokenizer: String,
    /// Whether chat requests can be rendered.
    pub has_chat_template: bool,
    /// Memory of the cache, in bytes for each token of context.
    pub cache_bytes_per_token: u64,
    /// What would be refused, and why; empty: nothing.
    pub refused: Vec<String>,
}
