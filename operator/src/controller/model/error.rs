//! What a pass over an LlmModel can fail with. Pure.

use crate::{
    apply,
    runner::{ErrorClass, PassError},
    secrets, status,
    store::{Key, Undeserialisable},
    telemetry::api_errors,
};

/// A pass failed; the status says what a person can do about it, where there is something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object in the caches has another shape than its kind.
    #[error("failed to read {kind} {key} from the cache: {source}")]
    ReadCached {
        /// Kind of the object.
        kind: String,
        /// Its name.
        key: Key,
        /// What did not fit.
        source: Undeserialisable,
    },
    /// An object that no store has could not be read.
    #[error("failed to look up {kind} {key}: {source}")]
    LookUp {
        /// Kind of the object.
        kind: String,
        /// Its name.
        key: Key,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// The Secret that the source names could not be read.
    #[error("failed to read the Secret of the source: {source}")]
    ReadSecret {
        /// Which and why.
        source: secrets::Error,
    },
    /// A child could not be brought to the cluster.
    #[error("failed to apply the children: {source}")]
    Apply {
        /// Which and why.
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
            Self::ReadCached { .. } => ErrorClass::Await,
            Self::LookUp { .. } | Self::ReadSecret { .. } | Self::Report { .. } => ErrorClass::Backoff,
            Self::Apply { source } => source.class(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ReadCached { .. } => "Undeserialisable",
            Self::LookUp { source, .. } => api_errors::reason(source),
            Self::ReadSecret { source } => api_errors::reason(&source.source),
            Self::Apply { source } => source.reason(),
            Self::Report { source } => source.reason(),
        }
    }
}
