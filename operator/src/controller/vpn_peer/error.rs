//! What a pass over an LlmVpnPeer can fail with. Pure.

use crate::{
    runner::{ErrorClass, PassError},
    status,
};

/// A pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The status could not be written.
    #[error("failed to report: {source}")]
    Report {
        /// Why.
        source: status::Error,
    },
}

impl PassError for Error {
    fn class(&self) -> ErrorClass {
        ErrorClass::Backoff
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Report { source } => source.reason(),
        }
    }
}
