//! Why a signature proves nothing.

use std::{io, path::PathBuf};

/// Each text says what was found, what was expected and what to do. No key material is in one.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// No bundle, or none of version 0.3 with one signature.
    #[error("failed to read the signature: {fault}; sign the model again (alcazar model sign)")]
    Malformed {
        /// What was found, what was expected.
        fault: String,
    },
    /// Sound, and made by somebody else, or changed.
    #[error("failed to verify the signature: {fault}")]
    NotOfSigner {
        /// What was found, what was expected.
        fault: String,
    },
    /// Signed, but not for these files.
    #[error("failed to verify the files against their signature: {fault}")]
    NotOfFiles {
        /// What was found, what was expected.
        fault: String,
    },
    /// What was given to verify or sign with.
    #[error("failed to use the key: {fault}")]
    Key {
        /// What was found, what was expected.
        fault: String,
    },
    /// The operating system refused.
    #[error("failed to {operation} {}: {source}", path.display())]
    Io {
        /// A verb.
        operation: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl SignatureError {
    pub(crate) fn malformed(fault: impl Into<String>) -> Self {
        Self::Malformed { fault: fault.into() }
    }

    pub(crate) fn not_of_signer(fault: impl Into<String>) -> Self {
        Self::NotOfSigner { fault: fault.into() }
    }

    pub(crate) fn not_of_files(fault: impl Into<String>) -> Self {
        Self::NotOfFiles { fault: fault.into() }
    }

    pub(crate) fn key(fault: impl Into<String>) -> Self {
        Self::Key { fault: fault.into() }
    }
}

/// Text from a file of somebody else, for a message of one line.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(200).collect::<String>().escape_debug().to_string()
}
