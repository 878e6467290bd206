//! OpenSSF Model Signing v1: verifies and makes `model.sig`, offline, with keys and certificates.
//!
//! `model.sig` is a sigstore bundle (v0.3, JSON) with a DSSE envelope around an in-toto statement, which lists the
//! SHA-256 of every file. [`open`] proves who signed a statement, [`Signed::check`] that files are what it says, and
//! [`sign`] makes one that the reference implementation (PyPI `model-signing`) takes. Facts of the format:
//! <https://github.com/sigstore/model-transparency> and <https://github.com/secure-systems-lab/dsse>.
//!
//! All but [`directory`] works on values: whoever has hashed the files already need not do it again.
#![forbid(unsafe_code)]

mod bundle;
mod chain;
pub mod directory;
mod error;
mod key;
mod sign;
mod statement;
mod verify;

#[cfg(test)]
mod tests;

pub use chain::Roots;
pub use error::SignatureError;
pub use key::{PrivateKey, PublicKey};
pub use sign::sign;
pub use statement::Resource;
pub use verify::{Coverage, Signed, Signer, Trust, open};

/// The file of the signature, at the root of a model; no part of the model itself.
pub const SIGNATURE_FILE: &str = "model.sig";
/// Largest signature that is read: about two hundred thousand files.
pub const MAX_SIGNATURE_BYTES: u64 = 64 << 20;

/// Whether a path at a model's root belongs to its repository and not to the model; nothing reads such files.
pub fn is_ignored(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    path == SIGNATURE_FILE || matches!(first, ".git" | ".github") || matches!(path, ".gitattributes" | ".gitignore")
}
