//! What a pass over an LlmDeployment can fail with. Pure.

use std::time::Duration;

use crate::{
    apply,
    authority::CertificateError,
    runner::{ErrorClass, PassError},
    status,
    store::{Key, Undeserialisable},
    telemetry::api_errors,
};

/// A pass failed; the status says what a person can do about it, where there is something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object in the caches has another shape than its kind.
    #[error("failed to read {kind} {key} from the cache")]
    ReadCached {
        /// Kind of the object.
        kind: String,
        /// Its name.
        key: Key,
        /// What did not fit.
        source: Undeserialisable,
    },
    /// The Secret with the certificate could not be read.
    #[error("failed to read Secret {key}: {source}")]
    ReadSecret {
        /// Its name.
        key: Key,
        /// What the API server said.
        source: kube::Error,
    },
    /// No certificate could be signed.
    #[error("failed to issue a certificate for the model port")]
    Issue {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
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

impl Error {
    pub(super) fn issue(source: CertificateError) -> Self {
        Self::Issue { source: Box::new(source) }
    }
}

impl PassError for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::ReadCached { .. } => ErrorClass::Await,
            Self::ReadSecret { .. } | Self::Report { .. } => ErrorClass::Backoff,
            Self::Issue { .. } => ErrorClass::RequeueAfter(Duration::from_secs(30)),
            Self::Apply { source } => source.class(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ReadCached { .. } => "Undeserialisable",
            Self::ReadSecret { source, .. } => api_errors::reason(source),
            Self::Issue { .. } => "CertificateUnavailable",
            Self::Apply { source } => source.reason(),
            Self::Report { source } => source.reason(),
        }
    }
}
