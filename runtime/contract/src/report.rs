//! The last word of a `fetch` or `verify` container, written to its termination log as JSON.

use serde::{Deserialize, Serialize};

/// How a `fetch` or `verify` ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Report {
    /// The model is sealed and verified.
    Sealed(ModelFacts),
    /// Nothing was sealed.
    Failed(FetchFailure),
}

/// What is known of a sealed model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFacts {
    /// Manifest digest, `sha256:<hex>`.
    pub digest: String,
    /// Directory of the files below the volume's root; empty: the root itself.
    pub path: String,
    /// Sum of the files' sizes.
    pub size_bytes: u64,
    /// `GGUF` or `Safetensors`.
    pub format: String,
    /// As the file names it, for example `llama`.
    pub architecture: String,
    /// Number of weights; 0 when unknown.
    pub parameter_count: u64,
    /// Longest context the model was made for, in tokens; 0 when unknown.
    pub context_length: u64,
    /// Whose signature was verified, when one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureFacts>,
    /// For whom the files are encrypted, when they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionFacts>,
}

/// A verified signature; one of its fields is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignatureFacts {
    /// SHA-256 (hex) of the public key's PEM text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Whose the certificate is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Encrypted files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionFacts {
    /// `age1…`; no secret.
    pub recipient: String,
}

/// Why nothing was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchFailure {
    /// A closed set, so that it can be a condition's reason.
    pub reason: FetchReason,
    /// What was found, what was expected, what to do. No secret.
    pub message: String,
}

/// The causes a fetch can fail with; each is a condition reason of `LlmModel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FetchReason {
    /// The source wants credentials, or refused those it got (401).
    SourceUnauthorized,
    /// The credentials are known and not enough (403).
    SourceForbidden,
    /// Repository, revision or file does not exist (404).
    SourceNotFound,
    /// The name of the host does not resolve.
    SourceNotResolved,
    /// No connection, a broken one, or a server error, after all retries.
    SourceUnreachable,
    /// The host, scheme or address is not allowed by the operator's settings.
    SourceNotAllowed,
    /// A file's digest or the manifest digest is not the expected one.
    DigestMismatch,
    /// A signature is asked for and there is none.
    SignatureMissing,
    /// The signature is not of these files, or not of the signer that is asked for.
    SignatureInvalid,
    /// A key that is needed is not there.
    KeyMissing,
    /// A key that is there is none, or opens nothing.
    KeyInvalid,
    /// The bytes are no model: cut off, an HTML page, absurd dimensions.
    InvalidModel,
    /// A sound file whose format or architecture the runtime does not serve.
    UnsupportedModel,
    /// The volume is full.
    VolumeFull,
    /// The volume cannot be read or written for another reason.
    VolumeFailed,
    /// The arguments make no sense; a fault of the operator.
    InvalidSource,
}

impl FetchReason {
    /// Whether trying again without a change can help.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::SourceNotResolved | Self::SourceUnreachable | Self::VolumeFailed)
    }

    /// The reason as a condition shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceUnauthorized => "SourceUnauthorized",
            Self::SourceForbidden => "SourceForbidden",
            Self::SourceNotFound => "SourceNotFound",
            Self::SourceNotResolved => "SourceNotResolved",
            Self::SourceUnreachable => "SourceUnreachable",
            Self::SourceNotAllowed => "SourceNotAllowed",
            Self::DigestMismatch => "DigestMismatch",
            Self::SignatureMissing => "SignatureMissing",
            Self::SignatureInvalid => "SignatureInvalid",
            Self::KeyMissing => "KeyMissing",
            Self::KeyInvalid => "KeyInvalid",
            Self::InvalidModel => "InvalidModel",
            Self::UnsupportedModel => "UnsupportedModel",
            Self::VolumeFull => "VolumeFull",
            Self::VolumeFailed => "VolumeFailed",
            Self::InvalidSource => "InvalidSource",
        }
    }
}
