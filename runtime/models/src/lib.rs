//! The model families, written once over a backend: `names` has what each calls its tensors, `decoder` what all compute.
//!
//! A family names no backend and reads no file: its weights come from a `WeightSource`, its operations from a `Backend`.
#![forbid(unsafe_code)]

mod adapter;
mod decoder;
mod encoder;
mod mxfp4;
mod names;
mod weights;

pub use adapter::check_adapter;
pub use encoder::load_encoder;

#[cfg(test)]
mod tests;

use alcazar_core::{AdapterSource, Backend, BackendError, CacheShape, DecoderConfig, Model, SourceError, WeightSource};

/// Why a model could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A tensor could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A tensor has another shape than the dimensions say.
    #[error("failed to load tensor {name}: found shape {found:?}, expected {expected:?}; the model contradicts itself")]
    Shape {
        /// The tensor.
        name: String,
        /// As the file has it.
        found: Vec<usize>,
        /// As the dimensions have it.
        expected: Vec<usize>,
    },
    /// The configuration contradicts itself.
    #[error("failed to make the model: {message}")]
    Unfit {
        /// What was found, and what expected.
        message: String,
    },
    /// The adapter was made for another model, or changes what no adapter may.
    #[error("failed to use adapter {adapter}: {message}")]
    Adapter {
        /// What requests call it.
        adapter: String,
        /// What was found, what expected, what to do.
        message: String,
    },
    /// The device did not take it.
    #[error("failed to put tensor {name} on the device")]
    Device {
        /// The tensor, or the cache.
        name: String,
        /// What the device said.
        #[source]
        source: BackendError,
    },
}

/// Makes the model that `config` describes, with a cache of the given shape.
pub fn load<B: Backend>(
    backend: B,
    config: &DecoderConfig,
    source: &dyn WeightSource,
    cache: CacheShape,
) -> Result<Box<dyn Model>, LoadError> {
    load_with_adapters(backend, config, source, cache, &[])
}

/// The same with adapters, which sequences name by their place in the list.
pub fn load_with_adapters<B: Backend>(
    backend: B,
    config: &DecoderConfig,
    source: &dyn WeightSource,
    cache: CacheShape,
    adapters: &[&dyn AdapterSource],
) -> Result<Box<dyn Model>, LoadError> {
    let mut decoder = decoder::Decoder::load(backend, config, source, cache)?;
    decoder.adapt(config, adapters)?;
    Ok(Box::new(decoder))
}
