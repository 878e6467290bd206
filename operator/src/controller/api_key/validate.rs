//! From a spec to what can be worked on. Pure.

use alcazar_crds::llm_api_key::LlmApiKey;

use crate::children::{Owner, OwnerKind};

/// Where the key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody made it and told its hash.
    Told {
        /// 64 lower-case hex digits.
        hash: String,
    },
    /// The operator makes it into a Secret.
    Made {
        /// In the same namespace.
        secret_name: String,
    },
}

/// A key that can be worked on.
#[derive(Clone, Debug)]
pub(crate) struct Validated {
    pub(crate) owner: Owner,
    pub(crate) origin: Origin,
}

/// Why a spec cannot be worked on. The API server refuses these; an object may come from before it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("spec must set exactly one of hash (of a key that you made) and secretName (the operator makes the key)")]
    Origin,
    #[error("the object has no name, namespace or uid")]
    Unnamed,
}

pub(crate) fn validate(object: &LlmApiKey, propagated: &[String]) -> Result<Validated, Invalid> {
    let owner = Owner::of(OwnerKind::ApiKey, object, propagated).ok_or(Invalid::Unnamed)?;
    let origin = match (&object.spec.hash, &object.spec.secret_name) {
        (Some(hash), None) => Origin::Told { hash: hash.clone() },
        (None, Some(name)) => Origin::Made { secret_name: name.clone() },
        _ => return Err(Invalid::Origin),
    };
    Ok(Validated { owner, origin })
}
