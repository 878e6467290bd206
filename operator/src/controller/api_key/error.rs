//! What a pass over an LlmApiKey can fail with. Pure.

use crate::{
    apply, random,
    runner::{ErrorClass, PassError},
    status,
    store::Key,
    telemetry::api_errors,
};

/// A pass failed; the status says what a person can do about it, where there is something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secret of the key could not be read.
    #[error("failed to read Secret {key}: {source}")]
    ReadSecret {
        /// Its name.
        key: Key,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// No key could be made.
    #[error("failed to make a key: {source}")]
    Random {
        /// Why.
        source: random::Error,
    },
    /// The Secret could not be written.
    #[error("failed to write the Secret of the key: {source}")]
    Apply {
        /// Why.
        source: apply::Error,
    },
    /// The status could not be written.
    #[error("failed to report: {source}")]
    Report {
        /// Why.
        source: status::Error,
    },
}

impl PassError for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::ReadSecret { .. } | Self::Random { .. } | Self::Report { .. } => ErrorClass::Backoff,
            Self::Apply { source } => source.class(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ReadSecret { source, .. } => api_errors::reason(source),
            Self::Random { .. } => "NoRandomness",
            Self::Apply { source } => source.reason(),
            Self::Report { source } => source.reason(),
        }
    }
}
