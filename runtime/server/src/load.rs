//! Opens a model. Placeholder until the loader of the backend stands here.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

/// What a model is opened with.
pub struct LoadOptions {
    pub context_length: Option<usize>,
    pub max_sequences: usize,
    pub max_queued: usize,
    pub cache_bytes: Option<u64>,
    pub threads: usize,
}

pub struct Loaded {
    pub facts: alcazar_formats::Facts,
    pub tokenizer: Arc<alcazar_text::Tokenizer>,
    pub template: Option<alcazar_text::ChatTemplate>,
    pub engine: alcazar_engine::Engine,
    pub device: String,
    pub layers: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no loader yet")]
pub struct LoadError;

impl LoadError {
    pub fn reason(&self) -> &'static str {
        "UnsupportedModel"
    }
}

pub fn load(_: &Path, _: &LoadOptions) -> Result<Loaded, LoadError> {
    Err(LoadError)
}

pub fn set_threads(_: NonZeroUsize) {}
