//! What a pass is to do: which model the pods serve, whether the certificate stays, when to look again. Pure.

use std::{sync::Arc, time::Duration};

use alcazar_contract::{labels, paths};
use alcazar_crds::llm_model::{LlmModel, LlmModelSpec};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use super::{
    build::{MODEL_CLAIM, MODEL_DIGEST, MODEL_KEY, MODEL_PATH, MODEL_SIZE},
    observe::Observed,
    validate::{ModelRef, ValidatedDeployment},
};
use crate::{
    authority::{Authority, LeafNames, LeafVerdict, judge},
    conditions,
    runner::Action,
};

#[cfg(test)]
mod tests;

/// While something hangs of which no watch tells (an Event, a Secret, the authority), this often is looked.
const LOOK_AGAIN: Duration = Duration::from_secs(4);

/// A model that the pods serve: verified, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Serving {
    /// Manifest digest, `sha256:<hex>`.
    pub(crate) digest: String,
    /// Claim with the files.
    pub(crate) claim_name: String,
    /// Directory or file below the root of the volume; empty: the root.
    pub(crate) path: String,
    /// Sum of the files' sizes.
    pub(crate) size_bytes: u64,
    /// Secret with the key of encrypted files; none: they lie open.
    pub(crate) key_secret_name: Option<String>,
}

/// What a pass is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What the pods serve; none: no pods yet.
    pub(crate) serving: Option<Serving>,
    /// The model to own: the inline one, or the former inline one while pods still mount its volume.
    pub(crate) model: Option<LlmModelSpec>,
    /// Whether the certificate in the Secret stays, or which authority is to sign a new one.
    pub(crate) leaf: LeafPlan,
    /// When to look again at the latest.
    pub(crate) look_again: Option<Duration>,
}

/// What becomes of the certificate.
#[derive(Clone, Debug)]
pub(crate) enum LeafPlan {
    /// It stays; this is its fingerprint.
    Keep(String),
    /// It stays, with other authorities beside it.
    Rebundle { fingerprint: String, bundle_pem: String },
    /// A new one is to be signed.
    Issue { authority: Arc<Authority>, why: LeafVerdict },
    /// There is neither a certificate nor an authority to sign one.
    Lacking {
        /// What the pods mount already, as their template says; none: no pod can be made.
        running: Option<String>,
        /// For people.
        why: String,
    },
}

impl Plan {
    /// For the runner.
    pub(crate) fn action(&self) -> Action {
        self.look_again.map_or_else(Action::await_change, Action::requeue_after)
    }
}

/// Decides; the same input gives the same answer, and once applied, the same answer again.
pub(crate) fn plan(valid: &ValidatedDeployment, observed: &Observed, now: Timestamp) -> Plan {
    let recorded = observed.deployment.as_ref().and_then(recorded);
    let offered = observed.model.as_ref().and_then(offered);
    let leaf = leaf(valid, observed, now);
    let is_lacking = matches!(leaf, LeafPlan::Lacking { .. });
    let can_mount = !matches!(leaf, LeafPlan::Lacking { running: None, .. });
    Plan {
        // What already serves goes on while the model has nothing new to offer.
        serving: offered.or(recorded).filter(|_| can_mount),
        model: model(valid, observed),
        leaf,
        look_again: (is_lacking || observed.pods.iter().any(|pod| pod.hangs)).then_some(LOOK_AGAIN),
    }
}

/// What a model has to offer: only what its controller has verified for the spec as it now is.
pub(crate) fn offered(model: &LlmModel) -> Option<Serving> {
    let status = model.status.as_ref()?;
    let is_current = status.observed_generation == model.metadata.generation;
    let is_ready = conditions::is_true(&status.conditions, "Ready");
    if !is_current || !is_ready || model.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let digest = status.digest.clone().filter(|digest| !digest.is_empty())?;
    let path = match &model.spec.source.persistent_volume_claim {
        Some(claim) => claim.path.clone().unwrap_or_default(),
        None => paths::sealed_dir(&digest),
    };
    Some(Serving {
        digest,
        claim_name: status.claim_name.clone().filter(|name| !name.is_empty())?,
        path,
        size_bytes: status.size_bytes.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        key_secret_name: model.spec.encryption.as_ref().map(|encryption| encryption.key_secret_name.clone()),
    })
}

/// What the Deployment was last told to serve.
fn recorded(deployment: &Deployment) -> Option<Serving> {
    let annotations = deployment.metadata.annotations.as_ref()?;
    let text = |key: &str| annotations.get(key).cloned();
    Some(Serving {
        digest: text(MODEL_DIGEST)?,
        claim_name: text(MODEL_CLAIM)?,
        path: text(MODEL_PATH)?,
        size_bytes: text(MODEL_SIZE)?.parse().ok()?,
        key_secret_name: text(MODEL_KEY),
    })
}

/// The mark of the certificate on the template.
fn mounted(deployment: &Deployment) -> Option<String> {
    let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(labels::SECRETS_HASH).cloned()
}

/// A deployment that turned from an inline model to a named one keeps the old model as long as a pod mounts it: deleting
/// it would take the volume away under pods that cannot come back without it.
fn model(valid: &ValidatedDeployment, observed: &Observed) -> Option<LlmModelSpec> {
    if let ModelRef::Inline(spec) = &valid.model {
        return Some(LlmModelSpec::clone(spec));
    }
    let own = observed.own_model.as_ref()?;
    let claim = own.status.as_ref().and_then(|status| status.claim_name.as_deref());
    let is_mounted = observed.pods.iter().any(|pod| claim.is_some() && pod.annotation(MODEL_CLAIM) == claim);
    let is_recorded =
        observed.deployment.as_ref().and_then(recorded).is_some_and(|s| Some(s.claim_name.as_str()) == claim);
    (is_mounted || is_recorded).then(|| own.spec.clone())
}

fn leaf(valid: &ValidatedDeployment, observed: &Observed, now: Timestamp) -> LeafPlan {
    let known = observed.leaf.as_ref();
    let authority = match (&observed.authority, known) {
        (Ok(authority), _) => authority,
        // What is there still serves; nothing new can be signed.
        (Err(_), Some(known)) => return LeafPlan::Keep(known.fingerprint.clone()),
        (Err(why), None) => {
            let running = observed.deployment.as_ref().and_then(mounted);
            return LeafPlan::Lacking { running, why: why.clone() };
        }
    };
    let names = LeafNames::of(&valid.owner.name, &valid.owner.namespace);
    match (known, judge(known, authority, &names, now)) {
        (Some(known), LeafVerdict::Keep) => LeafPlan::Keep(known.fingerprint.clone()),
        (Some(known), LeafVerdict::StaleBundle) => {
            LeafPlan::Rebundle { fingerprint: known.fingerprint.clone(), bundle_pem: authority.bundle_pem(now) }
        }
        (_, why) => LeafPlan::Issue { authority: Arc::clone(authority), why },
    }
}
