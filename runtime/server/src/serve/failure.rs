//! Why a serving process ends, in words the operator knows.

use std::{io, path::Path};

use alcazar_store::{FetchError, last_word, write_last_word};
use serde_json::json;
use tokio::task::JoinError;

use crate::{benchmark::WarmUpError, tls::TlsError};

/// Why nothing is served. Each text is one sentence with the mend where there is one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("failed to listen for signals: {source}")]
    Signal { source: io::Error },
    #[error("failed to set up the metrics: {source}")]
    Metrics { source: prometheus::Error },
    #[error("{source}")]
    Listen { source: io::Error },
    #[error("{source}")]
    Tls { source: TlsError },
    #[error("--isolation Required needs an --isolation-target: without one there is nothing to prove")]
    NothingToProve,
    #[error("failed to understand --digest: {fault}")]
    Digest { fault: String },
    #[error("{source}")]
    Verify { source: FetchError },
    #[error("{message}")]
    Load { reason: &'static str, message: String },
    #[error("failed to start the engine's thread: {source}")]
    Thread { source: io::Error },
    #[error("{source}")]
    WarmUp { source: WarmUpError },
    #[error("a task ended early: {source}")]
    Task { source: JoinError },
}

impl ServeError {
    /// CamelCase; the operator knows these words.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Verify { source } => source.reason().as_str(),
            Self::Load { reason, .. } => reason,
            Self::WarmUp { .. } => "InvalidModel",
            Self::Digest { .. } => "InvalidSource",
            Self::Tls { .. } => "TlsFailed",
            Self::NothingToProve
            | Self::Listen { .. }
            | Self::Signal { .. }
            | Self::Metrics { .. }
            | Self::Thread { .. }
            | Self::Task { .. } => "StartFailed",
        }
    }

    /// Leaves the last word where Kubernetes reads it; nothing outside a pod.
    pub(crate) fn write_termination_log(&self, path: &Path) -> io::Result<()> {
        let shape =
            |message: &str| serde_json::to_string(&json!({"failed": {"reason": self.reason(), "message": message}}));
        let text = last_word(&self.to_string(), shape).map_err(io::Error::other)?;
        match write_last_word(path, &text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use alcazar_contract::paths::TERMINATION_LOG_BYTES;

    use super::*;

    #[test]
    fn the_last_word_fits_and_names_the_reason() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("log");
        let error = ServeError::Load { reason: "UnsupportedModel", message: "\"ü".repeat(4000) };
        error.write_termination_log(&path).expect("write");
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(text.len() <= TERMINATION_LOG_BYTES && text.len() > 4000);
        let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(told["failed"]["reason"], "UnsupportedModel");
        error.write_termination_log(Path::new("/dev/no-such-log")).expect("outside a pod");
    }
}
