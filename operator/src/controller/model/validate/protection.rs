//! Who must have signed a model, with which key it is encrypted, and what the settings ask of every model. Pure.

use alcazar_crds::{llm_model::LlmModelSpec, reasons::ModelReason as Reason};

use super::{Invalid, SourceSecret};
use crate::settings::Settings;

/// What is mounted into the Jobs, and of that only the key of the weights into model pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Protection {
    pub(crate) signature: Option<SignedBy>,
    /// The Secret with the age identity.
    pub(crate) encryption: Option<SourceSecret>,
}

/// What a signature is verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignedBy {
    /// The Secret with the public key.
    Key(SourceSecret),
    /// Name of the ConfigMap with the roots.
    Roots(String),
}

const PUBLIC: &[&[&str]] = &[&["public.pem"]];
const KEY: &[&[&str]] = &[&["key"]];

/// Reads both fields.
pub(super) fn read(spec: &LlmModelSpec) -> Result<Protection, Invalid> {
    let signature = match &spec.signature {
        None => None,
        Some(signature) => match (&signature.public_key_secret_name, &signature.certificate_config_map_name) {
            (Some(name), None) => Some(SignedBy::Key(SourceSecret { name: name.clone(), keys: PUBLIC })),
            (None, Some(name)) => Some(SignedBy::Roots(name.clone())),
            _ => {
                let fault = "must name exactly one of publicKeySecretName and certificateConfigMapName".to_owned();
                return Err(Invalid::Spec { field: "spec.signature", fault });
            }
        },
    };
    let encryption = spec.encryption.as_ref();
    let encryption = encryption.map(|encryption| SourceSecret { name: encryption.key_secret_name.clone(), keys: KEY });
    Ok(Protection { signature, encryption })
}

/// What the settings ask of every model and this one lacks.
pub(super) fn require(spec: &LlmModelSpec, settings: &Settings) -> Result<(), Invalid> {
    let rules = &settings.require;
    let lacking = [
        (
            rules.digest && spec.digest.is_none(),
            Reason::DigestRequired,
            "spec.digest is required by the operator's settings (require.digest); set it to the digest that was \
             approved, as status.digest of a trusted installation shows it",
        ),
        (
            rules.signature && spec.signature.is_none(),
            Reason::SignatureRequired,
            "spec.signature is required by the operator's settings (require.signature); name the Secret with the \
             signer's public key or the ConfigMap with the roots of their certificate",
        ),
        (
            rules.encryption && spec.encryption.is_none(),
            Reason::EncryptionRequired,
            "spec.encryption is required by the operator's settings (require.encryption); name the Secret with the \
             age identity in spec.encryption.keySecretName",
        ),
    ];
    match lacking.into_iter().find(|(is_lacking, ..)| *is_lacking) {
        Some((_, reason, fault)) => Err(Invalid::Required { reason, fault: fault.to_owned() }),
        None => Ok(()),
    }
}

/// Why a volume's class is not allowed.
pub(crate) fn class_trouble(class: Option<&str>, allowed: &[String]) -> Option<String> {
    if allowed.is_empty() || class.is_some_and(|class| allowed.iter().any(|allowed| allowed == class)) {
        return None;
    }
    let found = class.map_or_else(|| "names no StorageClass".to_owned(), |class| format!("has StorageClass '{class}'"));
    Some(format!(
        "the volume {found}; the operator's settings (require.storageClassNames) allow {}; set storage.storageClassName \
         to one of them, and make the model anew if its volume has another one",
        allowed.join(", ")
    ))
}
