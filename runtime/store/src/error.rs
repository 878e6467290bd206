//! Everything a fetch or a verification can end with, each with its reason for the operator.

use std::{io, path::PathBuf, time::Duration};

use alcazar_contract::report::FetchReason;
use alcazar_formats::Class;
use alcazar_signing::SignatureError;

/// Why nothing was sealed. Texts hold no secret: URLs are cut to scheme, host and path.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("failed to understand the source: {fault}")]
    InvalidSource { fault: String },
    #[error("failed to accept the path '{path}' from the source: {fault}")]
    UnsafePath { path: String, fault: &'static str },
    #[error("failed to go to {target}: {fault}")]
    NotAllowed { target: String, fault: String },
    #[error("failed to resolve the host '{host}': {fault}; check the name and the cluster's DNS")]
    NotResolved { host: String, fault: String },
    #[error("failed to read {url}: the source answered 401 {with}")]
    Unauthorized { url: String, with: &'static str },
    #[error(
        "failed to read {url}: the source answered 403; the credentials lack access to it (for a gated repository, \
         accept its terms with the account of the token)"
    )]
    Forbidden { url: String },
    #[error("failed to read {url}: the source answered {status}; check repository, revision and file name")]
    NotFound { url: String, status: u16 },
    #[error("failed to find {missing} in {repo} at {revision}; the repository holds: {found}")]
    NotInRepo { missing: String, repo: String, revision: String, found: String },
    #[error("failed to read {url}: {fault} (after {attempts} attempts without progress)")]
    Unreachable { url: String, fault: String, attempts: u32, retry_after: Option<Duration> },
    #[error("failed to read {url}: the source answered with something else than asked: {fault}")]
    Unexpected { url: String, fault: String },
    #[error(
        "failed to verify {path}: expected {expected} ({expected_bytes} bytes), found {found} ({found_bytes} bytes){hint}"
    )]
    FileDigest {
        path: String,
        expected: String,
        expected_bytes: String,
        found: String,
        found_bytes: u64,
        hint: &'static str,
    },
    #[error(
        "failed to verify the model: expected digest {expected}, found {found} over {n_files} files; compare the source with what was approved"
    )]
    ManifestDigest { expected: String, found: String, n_files: usize },
    #[error(
        "failed to read {path}: the source answered with an HTML page ({found}, {found_bytes} bytes) instead of the \
         file{expected}; check the URL and whether it wants credentials"
    )]
    HtmlPage { path: String, expected: String, found: String, found_bytes: u64 },
    #[error(
        "failed to find a signature at {place}: expected model.sig beside the files; sign the model (alcazar model sign), \
         or take spec.signature away"
    )]
    SignatureMissing { place: String },
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("failed to find a key: {fault}")]
    KeyMissing { fault: String },
    #[error("failed to use the key of the weights: {fault}")]
    Key { fault: String },
    #[error("{fault}")]
    InvalidModel { fault: String },
    #[error("{fault}")]
    UnsupportedModel { fault: String },
    #[error(
        "failed to store the model: the volume is full, {needed_bytes} bytes are needed and {free_bytes} are free; \
         enlarge the claim (storage.size)"
    )]
    VolumeFull { needed_bytes: u64, free_bytes: u64 },
    #[error("failed to {operation} {}: {source}", path.display())]
    Volume { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("failed to use the volume: {fault}")]
    VolumeState { fault: String },
    #[error("stopped by a signal before the end; the next attempt goes on where this one was")]
    Interrupted,
    #[error("failed to set up the HTTP client: {fault}")]
    Client { fault: String },
}

impl FetchError {
    pub(crate) fn key(fault: impl Into<String>) -> Self {
        Self::Key { fault: fault.into() }
    }

    /// The condition's reason.
    pub fn reason(&self) -> FetchReason {
        match self {
            Self::InvalidSource { .. } | Self::UnsafePath { .. } => FetchReason::InvalidSource,
            Self::NotAllowed { .. } => FetchReason::SourceNotAllowed,
            Self::NotResolved { .. } => FetchReason::SourceNotResolved,
            Self::Unauthorized { .. } => FetchReason::SourceUnauthorized,
            Self::Forbidden { .. } => FetchReason::SourceForbidden,
            Self::NotFound { .. } | Self::NotInRepo { .. } => FetchReason::SourceNotFound,
            Self::Unreachable { .. } | Self::Unexpected { .. } | Self::Client { .. } | Self::Interrupted => {
                FetchReason::SourceUnreachable
            }
            Self::FileDigest { .. } | Self::ManifestDigest { .. } => FetchReason::DigestMismatch,
            Self::SignatureMissing { .. } => FetchReason::SignatureMissing,
            Self::Signature(SignatureError::Key { .. }) | Self::Key { .. } => FetchReason::KeyInvalid,
            Self::Signature(SignatureError::Io { .. }) => FetchReason::VolumeFailed,
            Self::Signature(_) => FetchReason::SignatureInvalid,
            Self::KeyMissing { .. } => FetchReason::KeyMissing,
            Self::HtmlPage { .. } | Self::InvalidModel { .. } => FetchReason::InvalidModel,
            Self::UnsupportedModel { .. } => FetchReason::UnsupportedModel,
            Self::VolumeFull { .. } => FetchReason::VolumeFull,
            Self::Volume { source, .. } if is_full(source) => FetchReason::VolumeFull,
            Self::Volume { .. } if self.is_of_data() => FetchReason::DigestMismatch,
            Self::Volume { .. } | Self::VolumeState { .. } => FetchReason::VolumeFailed,
        }
    }

    /// Whether the bytes on the volume are not what was written there, and not the volume at fault.
    pub(crate) fn is_of_data(&self) -> bool {
        matches!(self, Self::Volume { source, .. } if source.kind() == io::ErrorKind::InvalidData)
    }

    /// Whether another try within this attempt can help.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::NotResolved { .. } | Self::Unreachable { .. })
    }
}

impl From<alcazar_formats::Error> for FetchError {
    fn from(error: alcazar_formats::Error) -> Self {
        match (error.class(), error) {
            (Class::Unreadable, alcazar_formats::Error::Read { file, source, .. }) => {
                Self::Volume { operation: "read", path: file, source }
            }
            (Class::Unsupported, error) => Self::UnsupportedModel { fault: error.to_string() },
            (Class::Invalid | Class::Unreadable, error) => Self::InvalidModel { fault: error.to_string() },
        }
    }
}

/// Whether an IO error says that the volume has no room: full, or over its quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Gives an IO error on the volume its operation and path.
pub(crate) trait OnVolume<T> {
    fn on_volume(self, operation: &'static str, path: impl Into<PathBuf>) -> Result<T, FetchError>;
}

impl<T> OnVolume<T> for io::Result<T> {
    fn on_volume(self, operation: &'static str, path: impl Into<PathBuf>) -> Result<T, FetchError> {
        self.map_err(|source| FetchError::Volume { operation, path: path.into(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_volume_is_told_from_a_broken_one() {
        let volume = |errno| FetchError::Volume {
            operation: "write",
            path: PathBuf::from("/weights/x"),
            source: io::Error::from_raw_os_error(errno),
        };
        assert_eq!(volume(28).reason(), FetchReason::VolumeFull, "ENOSPC");
        assert_eq!(volume(122).reason(), FetchReason::VolumeFull, "EDQUOT");
        assert_eq!(volume(5).reason(), FetchReason::VolumeFailed, "EIO");
    }
}
