//! What the status says. Pure.

use alcazar_crds::{
    conditions::ApiKeyCondition as Type,
    grant::GrantState,
    llm_api_key::{LlmApiKey, LlmApiKeyStatus},
    reasons::ApiKeyReason as Reason,
};
use jiff::Timestamp;

use super::validate::Invalid;
use crate::{
    apply,
    conditions::{Desired, merge},
    controller::grant,
    store::Key,
    telemetry::api_errors::Fault,
};

/// What a status is computed from.
pub(crate) struct Seen<'a> {
    pub(crate) object: &'a LlmApiKey,
    /// Of the key that the operator made.
    pub(crate) hash: Option<String>,
    /// The oldest object with the same hash.
    pub(crate) older: Option<&'a Key>,
    /// Why the Secret could not be written.
    pub(crate) trouble: Option<&'a Trouble>,
}

/// Something that keeps the Secret from being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) reason: Reason,
    /// What was found and what to do.
    pub(crate) message: String,
}

/// What a person can do about a Secret that could not be written; `None`: nothing, it is tried again.
pub(crate) fn trouble(failure: &apply::Error) -> Option<Trouble> {
    let said = failure.detail();
    let told = |reason, message| Some(Trouble { reason, message });
    match failure {
        apply::Error::NameConflict { .. } => told(Reason::SecretConflict, said),
        apply::Error::Leaving { .. } => told(Reason::Pending, format!("{said}; it is made anew after that")),
        apply::Error::Request { .. } => match failure.fault()? {
            Fault::QuotaExceeded | Fault::Forbidden | Fault::Invalid => {
                told(Reason::SecretRefused, format!("the Secret cannot be written: {said}"))
            }
            _ => None,
        },
        apply::Error::Read { .. } => None,
    }
}

/// Whether the key counts, and why.
struct Verdict {
    reason: Reason,
    message: String,
}

impl Verdict {
    /// Whether nothing gets better without a change by somebody, and was not meant so.
    fn is_stalled(&self) -> bool {
        match self.reason {
            Reason::Duplicate | Reason::SecretConflict | Reason::SecretRefused | Reason::InvalidSpec => true,
            Reason::Active | Reason::Pending | Reason::Revoked | Reason::Expired | Reason::Replaced => false,
        }
    }
}

/// The spec cannot be worked on.
pub(crate) fn refused(object: &LlmApiKey, invalid: Invalid, now: Timestamp) -> LlmApiKeyStatus {
    let verdict = Verdict { reason: Reason::InvalidSpec, message: invalid.to_string() };
    with_verdict(object, &verdict, None, now)
}

/// The status of a key that can be worked on.
pub(crate) fn compute(seen: &Seen<'_>, now: Timestamp) -> LlmApiKeyStatus {
    with_verdict(seen.object, &judge(seen, now), seen.hash.clone(), now)
}

fn judge(seen: &Seen<'_>, now: Timestamp) -> Verdict {
    let spec = &seen.object.spec;
    let verdict = |reason, message: String| Verdict { reason, message };
    if spec.state == GrantState::Revoked {
        return verdict(Reason::Revoked, "spec.state is Revoked: the key is refused".to_owned());
    }
    if let Some(end) = spec.expires_at.as_ref().filter(|end| grant::has_passed(Some(end), now)) {
        return verdict(
            Reason::Expired,
            format!("the key expired at {}; set a later spec.expiresAt to use it again", end.0),
        );
    }
    if let Some(Trouble { reason, message }) = seen.trouble {
        return verdict(*reason, message.clone());
    }
    if let Some(older) = seen.older {
        let namespace = seen.object.metadata.namespace.as_deref().unwrap_or_default();
        let other = grant::name_of(older, namespace, "LlmApiKey");
        return verdict(
            Reason::Duplicate,
            format!("{other} is older and has the same hash, so that one counts; delete one of them"),
        );
    }
    verdict(Reason::Active, opens(seen.object))
}

fn opens(object: &LlmApiKey) -> String {
    let models = match object.spec.models.as_slice() {
        [] => "every model of the namespace".to_owned(),
        [one] => one.clone(),
        some => format!("{} models", some.len()),
    };
    format!("the key opens {models}{}", grant::until_words(object.spec.expires_at.as_ref()))
}

/// What the gateway writes is left out, so that an apply never takes it.
fn with_verdict(object: &LlmApiKey, verdict: &Verdict, hash: Option<String>, now: Timestamp) -> LlmApiKeyStatus {
    let old = object.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = object.metadata.generation.unwrap_or_default();
    let desired = |type_: Type, holds: bool| {
        Desired::new(type_.as_str(), holds, verdict.reason.as_str(), verdict.message.clone())
    };
    let all =
        vec![desired(Type::Ready, verdict.reason == Reason::Active), desired(Type::Stalled, verdict.is_stalled())];
    LlmApiKeyStatus {
        observed_generation: Some(generation),
        conditions: merge(old, all, generation, now),
        hash,
        ..LlmApiKeyStatus::default()
    }
}
