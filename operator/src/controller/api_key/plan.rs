//! Whether a key has to be made. Pure.

use alcazar_crds::{grant::GrantState, llm_api_key::LlmApiKey};
use jiff::Timestamp;

use super::{Observed, Origin, Validated};
use crate::controller::grant;

/// What is to be done about the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// There is none to look after, or none is made for a key that would be refused.
    Nothing,
    /// It holds a key.
    Keep {
        /// Of that key.
        hash: String,
    },
    /// A key is made into it.
    Make {
        /// Of the Secret.
        secret_name: String,
        /// There was another key before.
        replaces: bool,
    },
}

pub(crate) fn plan(object: &LlmApiKey, valid: &Validated, observed: &Observed, now: Timestamp) -> Plan {
    let Origin::Made { secret_name } = &valid.origin else { return Plan::Nothing };
    if let Some(hash) = &observed.stored {
        return Plan::Keep { hash: hash.clone() };
    }
    let spec = &object.spec;
    if spec.state == GrantState::Revoked || grant::has_passed(spec.expires_at.as_ref(), now) {
        return Plan::Nothing;
    }
    let replaces = object.status.as_ref().is_some_and(|status| status.hash.is_some());
    Plan::Make { secret_name: secret_name.clone(), replaces }
}
