//! Readers of model files: bounded, panic-free. They read headers and, when asked, one tensor at a time.
//!
//! Safetensors and GGUF are opened to be served ([`model`]); PyTorch and TensorFlow files only to be converted
//! ([`checkpoint`]).
//!
//! Every size that a file claims is checked against the file's length before memory is asked for, and an error names
//! the file, the offset, what was found and what was expected. Nothing is mapped: a file that is cut off while it is
//! read is an error here, not a signal.
#![forbid(unsafe_code)]

mod access;
pub mod adapter;
pub mod checkpoint;
pub mod error;
pub mod facts;
pub mod gguf;
pub mod model;
pub mod safetensors;

mod config;
mod fields;
mod file;
mod pytorch;
mod tensorflow;

#[cfg(test)]
mod hostile;

pub use access::{Access, Plain, ReadAt};
pub use adapter::{Adapter, AdapterFacts};
pub use config::{
    encoder::registry::{ENCODERS, EncoderArchitecture, HEADS},
    registry::{ARCHITECTURES, Architecture},
};
pub use error::{Class, Error};
pub use facts::{Facts, Format};
pub use model::{ModelConfig, ModelFiles, TextFiles, TextSource, Vocabulary, inspect, inspect_with, open, open_with};
