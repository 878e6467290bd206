//! Whether files are a model that is served, told by the readers that will serve it.

use std::path::Path;

use alcazar_formats::{Access, Format};

use crate::error::FetchError;

/// What the files say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// `GGUF`, `Safetensors`, or what fetch converts.
    pub format: String,
    /// Whether servers open it only after conversion.
    pub needs_conversion: bool,
    /// As the file names it.
    pub architecture: String,
    /// Number of weights.
    pub parameter_count: u64,
    /// Longest context in tokens.
    pub context_length: u64,
}

/// Judges a directory or file before it is sealed.
pub trait Inspect: Send + Sync {
    /// Reads heads only; the bytes of the weights stay untouched.
    fn inspect(&self, access: &dyn Access, model: &Path) -> Result<Inspected, FetchError>;
}

/// The readers of `alcazar-formats`, which also load the model when it is served.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormatsInspector;

impl Inspect for FormatsInspector {
    fn inspect(&self, access: &dyn Access, model: &Path) -> Result<Inspected, FetchError> {
        let facts = alcazar_formats::inspect_with(access, model)?;
        Ok(Inspected {
            format: facts.format.to_string(),
            needs_conversion: matches!(facts.format, Format::PyTorch | Format::TensorFlow),
            architecture: facts.architecture,
            parameter_count: facts.parameter_count,
            context_length: facts.context_length,
        })
    }
}
