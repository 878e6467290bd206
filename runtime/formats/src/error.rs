//! Why a model file cannot be used.

use std::path::{Path, PathBuf};

/// The text is a whole sentence: what was found, what was expected, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("failed to read {} at byte {offset}: {source}; check that the volume is mounted and readable", file.display())]
    Read {
        /// Which file or directory.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// The bytes are no sound model file.
    #[error("failed to parse {} at byte {offset}: found {found}, expected {expected}; fetch the file again, or ask its publisher for a whole one", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// A sound file of a kind that is not served.
    #[error("failed to serve {}: found {found}, supported are {supported}; choose a model of a supported kind", file.display())]
    Unsupported {
        /// Which file.
        file: PathBuf,
        /// What it is.
        found: String,
        /// What it might be instead.
        supported: String,
    },
    /// An adapter that is not served.
    #[error("failed to use the adapter in {}: found {found}; {remedy}", path.display())]
    Adapter {
        /// Its directory.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// The directory does not hold one model.
    #[error("failed to find a model in {}: found {found}, expected {expected}", path.display())]
    NotOneModel {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
}

/// What an error means for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The bytes are wrong.
    Invalid,
    /// The bytes are sound, the kind is not served.
    Unsupported,
    /// The volume failed; another try may help.
    Unreadable,
}

impl Error {
    /// What the error means for who asked.
    pub const fn class(&self) -> Class {
        match self {
            Self::Read { .. } => Class::Unreadable,
            Self::Malformed { .. } | Self::NotOneModel { .. } => Class::Invalid,
            Self::Unsupported { .. } | Self::Adapter { .. } => Class::Unsupported,
        }
    }

    pub(crate) fn read(file: &Path, offset: u64, source: std::io::Error) -> Self {
        Self::Read { file: file.to_owned(), offset, source }
    }

    pub(crate) fn malformed(file: &Path, offset: u64, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Malformed { file: file.to_owned(), offset, found: found.into(), expected: expected.into() }
    }

    pub(crate) fn adapter(path: &Path, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Adapter { path: path.to_owned(), found: found.into(), remedy: remedy.into() }
    }

    pub(crate) fn unsupported(file: &Path, found: impl Into<String>, supported: impl Into<String>) -> Self {
        Self::Unsupported { file: file.to_owned(), found: found.into(), supported: supported.into() }
    }
}

/// A string out of a file, short and printable enough for an error.
pub(crate) fn excerpt(text: &str) -> String {
    const LIMIT: usize = 60;
    let mut short: String = text.chars().take(LIMIT).flat_map(char::escape_default).collect();
    if text.chars().nth(LIMIT).is_some() {
        short.push('…');
    }
    format!("\"{short}\"")
}
