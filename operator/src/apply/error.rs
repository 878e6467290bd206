//! What can go wrong while applying, in words for people and for metrics. Pure.

use std::time::Duration;

use super::Place;
use crate::{
    runner::ErrorClass,
    store::{Key, Undeserialisable},
    telemetry::api_errors::{self, Fault},
};

/// A child could not be brought to the cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is taken by an object that is not ours.
    #[error("{kind} {name} exists and belongs to {holder}; rename or delete one of them", name = key.name)]
    NameConflict {
        /// Kind of the child.
        kind: String,
        /// Its name.
        key: Key,
        /// Who has it.
        holder: String,
    },
    /// The name is still held by a child on its way out.
    #[error("{kind} {name} is still being deleted", name = key.name)]
    Leaving {
        /// Kind of the child.
        kind: String,
        /// Its name.
        key: Key,
    },
    /// The API server refused or did not answer.
    #[error("failed to {action} {kind} {name}: {source}", name = key.name)]
    Request {
        /// `apply`, `look up` or `delete`.
        action: &'static str,
        /// Kind of the child.
        kind: String,
        /// Its name.
        key: Key,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// The API server's answer has another shape than its kind.
    #[error("failed to read {kind} {name}: {source}", name = key.name)]
    Read {
        /// Kind of the child.
        kind: String,
        /// Its name.
        key: Key,
        /// What did not fit.
        source: Undeserialisable,
    },
}

impl Place {
    pub(super) fn failed(&self, action: &'static str, source: kube::Error) -> Error {
        Error::Request { action, kind: self.kind.clone(), key: self.key.clone(), source: Box::new(source) }
    }

    pub(super) fn unreadable(&self, source: Undeserialisable) -> Error {
        Error::Read { kind: self.kind.clone(), key: self.key.clone(), source }
    }
}

impl Error {
    /// What the API server's refusal means, if it was one.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Request { source, .. } => Some(api_errors::fault(source)),
            Self::NameConflict { .. } | Self::Leaving { .. } | Self::Read { .. } => None,
        }
    }

    /// What the API server said, without the wrapping.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Request { source, .. } => api_errors::message(source),
            other => other.to_string(),
        }
    }

    /// Of a closed set, for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NameConflict { .. } => "NameConflict",
            Self::Leaving { .. } => "Leaving",
            Self::Request { source, .. } => api_errors::reason(source),
            Self::Read { .. } => "Undeserialisable",
        }
    }

    /// What to do about it. Whatever a person mends elsewhere (a quota, a name) is noticed within seconds.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Leaving { .. } => ErrorClass::RequeueAfter(Duration::from_secs(1)),
            Self::NameConflict { .. } => ErrorClass::RequeueAfter(Duration::from_secs(5)),
            Self::Request { .. } if matches!(self.fault(), Some(Fault::QuotaExceeded | Fault::NamespaceLeaving)) => {
                ErrorClass::RequeueAfter(Duration::from_secs(5))
            }
            Self::Request { .. } | Self::Read { .. } => ErrorClass::Backoff,
        }
    }
}
