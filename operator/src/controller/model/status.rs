//! What the status says. Pure: computed from what was applied and what was planned.

use alcazar_contract::{report::ModelFacts, status::FetchStatus};
use alcazar_crds::{
    conditions::ModelCondition as Type,
    llm_model::{EncryptionSeen, FetchProgress, LlmModel, LlmModelStatus, SignatureSeen},
    reasons::ModelReason as Reason,
};
use jiff::Timestamp;

use super::{
    cause::{self, Trouble},
    observe::Observed,
    plan::Plan,
    validate::{Invalid, ValidatedModel, Work, claim_name},
};
use crate::{
    apply,
    bounds::{self, count},
    children::{Applied, Resources},
    conditions::{Desired, Truth, merge},
    telemetry::api_errors::Fault,
};

mod state;
#[cfg(test)]
mod tests;

use state::{State, serves_on};

/// The status of a model that nobody has looked at.
pub(crate) fn first(model: &LlmModel, now: Timestamp) -> LlmModelStatus {
    let pending = |type_: &Type| {
        let truth = if *type_ == Type::Reconciling { Truth::True } else { Truth::Unknown };
        desired(*type_, truth, Reason::Pending, "the operator has begun to look at it")
    };
    let all = Type::ALL.iter().filter(|type_| **type_ != Type::Stalled).map(pending).collect();
    with_conditions(model, all, now)
}

/// The spec cannot be worked on.
pub(crate) fn refused(model: &LlmModel, invalid: &Invalid, now: Timestamp) -> LlmModelStatus {
    let (reason, message) = (invalid.reason(), invalid.to_string());
    let unknown =
        |type_| desired(type_, Truth::Unknown, Reason::Pending, "nothing is done before the spec is accepted");
    let all = vec![
        desired(Type::Ready, Truth::False, reason, serves_on(model, &message)),
        desired(Type::Stalled, Truth::True, reason, &message),
        desired(Type::Accepted, Truth::False, reason, &message),
        unknown(Type::VolumeBound),
        desired(Type::Sealed, Truth::False, reason, "nothing is fetched before the spec is accepted"),
    ];
    LlmModelStatus { progress: None, ..with_conditions(model, all, now) }
}

/// What a person can do about a child that could not be applied; `None`: nothing, it is tried again.
pub(crate) fn trouble(failure: &apply::Error) -> Option<Trouble> {
    let said = failure.detail();
    match failure {
        apply::Error::NameConflict { .. } => Some(Trouble::new(Reason::NameConflict, said)),
        apply::Error::Leaving { .. } => {
            Some(Trouble::new(Reason::Pending, format!("{said}; it is made anew after that")))
        }
        apply::Error::Request { kind, .. } => match (failure.fault()?, kind.as_str()) {
            (Fault::QuotaExceeded, _) => {
                Some(Trouble::new(Reason::QuotaExceeded, format!("{said}; free or raise the quota")))
            }
            (Fault::Forbidden | Fault::Invalid, "PersistentVolumeClaim") => Some(Trouble::new(
                Reason::ResizeFailed,
                format!(
                    "the volume cannot be made or grown as asked for: {said}; set storage.size back, or make the model \
                     anew with the size it needs if its class does not allow growing"
                ),
            )),
            (Fault::Forbidden | Fault::Invalid, "Job") => Some(Trouble::new(Reason::PodRefused, said)),
            _ => None,
        },
        apply::Error::Read { .. } => None,
    }
}

/// What a status is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) model: &'a LlmModel,
    pub(crate) valid: &'a ValidatedModel,
    pub(crate) plan: &'a Plan,
    pub(crate) observed: &'a Observed,
    /// A child could not be applied.
    pub(crate) trouble: Option<&'a Trouble>,
}

/// What was observed, with the objects as they are after the apply.
pub(crate) fn after(observed: Observed, applied: &Resources<Applied>) -> Observed {
    let Resources {
        claims,
        jobs,
        models: _,
        cilium_policies: _,
        service_accounts: _,
        secrets: _,
        network_policies: _,
        services: _,
        disruption_budgets: _,
        deployments: _,
        state: _,
    } = applied;
    let job = jobs.first().cloned();
    let same_job = job.as_ref().and_then(|job| job.metadata.uid.as_ref())
        == observed.job.as_ref().and_then(|job| job.metadata.uid.as_ref());
    Observed {
        claim: claims.first().cloned().filter(|_| observed.claim.is_none()).or(observed.claim),
        pod: observed.pod.filter(|_| same_job),
        progress: observed.progress.filter(|_| same_job),
        job,
        ..observed
    }
}

/// The status of a model that can be worked on.
pub(crate) fn compute(seen: Seen<'_>, now: Timestamp) -> LlmModelStatus {
    let Seen { model, valid, plan, observed, trouble } = seen;
    let volume = cause::of_claim(observed);
    let state = State::of(&plan.stage, observed, trouble, volume.as_ref().err(), &valid.work);
    let conditions = vec![
        state.ready(model),
        desired(Type::Reconciling, state.is_reconciling(), state.reason(), state.message()),
        desired(Type::Stalled, state.is_stalled(), state.reason(), state.message()),
        desired(Type::Accepted, true, Reason::Accepted, "the spec can be worked on"),
        volume_bound(&volume),
        state.sealed(),
    ];
    let status = with_conditions(model, conditions, now);
    let progress = observed.progress.as_ref().filter(|_| matches!(state, State::Working(..))).map(progress);
    match state {
        State::Sealed(facts) => LlmModelStatus { progress: None, ..with_facts(status, facts, claim_of(valid)) },
        State::Working(..) | State::Held(_) => {
            // As long as files are sealed elsewhere, that is where deployments find them.
            let claim_name =
                status.claim_name.clone().filter(|_| status.digest.is_some()).or_else(|| Some(claim_of(valid)));
            LlmModelStatus { progress, claim_name, ..status }
        }
    }
}

fn claim_of(valid: &ValidatedModel) -> String {
    match &valid.work {
        Work::Fetch { .. } => claim_name(&valid.owner.name),
        Work::Verify { claim_name, .. } => claim_name.clone(),
    }
}

fn volume_bound(volume: &Result<Reason, Trouble>) -> Desired {
    match volume {
        Ok(Reason::VolumeBound) => desired(Type::VolumeBound, true, Reason::VolumeBound, "the claim is bound"),
        Ok(reason @ Reason::WaitingForConsumer) => {
            desired(Type::VolumeBound, false, *reason, "the claim is bound once its first pod has a node")
        }
        Ok(reason) => desired(Type::VolumeBound, false, *reason, "the claim waits for a volume"),
        Err(trouble) => desired(Type::VolumeBound, false, trouble.reason, &trouble.message),
    }
}

fn progress(told: &FetchStatus) -> FetchProgress {
    let percent =
        (told.total_bytes > 0).then(|| (u128::from(told.done_bytes) * 100 / u128::from(told.total_bytes)).min(100));
    FetchProgress {
        done_bytes: count(told.done_bytes),
        total_bytes: count(told.total_bytes),
        percent: percent.and_then(|percent| i32::try_from(percent).ok()),
        bytes_per_second: count(told.bytes_per_second),
        seconds_left: told.seconds_left.map(count),
    }
}

fn with_facts(status: LlmModelStatus, facts: &ModelFacts, claim_name: String) -> LlmModelStatus {
    let known = |value: u64| (value > 0).then(|| count(value));
    LlmModelStatus {
        digest: bounds::digest(&facts.digest),
        size_bytes: Some(count(facts.size_bytes)),
        format: bounds::word(&facts.format),
        architecture: bounds::word(&facts.architecture),
        parameter_count: known(facts.parameter_count),
        context_length: known(facts.context_length),
        claim_name: Some(claim_name),
        signature: facts.signature.as_ref().map(|told| SignatureSeen {
            key_id: told.key_id.as_deref().and_then(bounds::identity),
            subject: told.subject.as_deref().and_then(bounds::identity),
            // A bundle carries no proof of its time.
            signed_at: None,
        }),
        encryption: facts
            .encryption
            .as_ref()
            .and_then(|told| bounds::identity(&told.recipient).map(|recipient| EncryptionSeen { recipient })),
        ..status
    }
}

fn with_conditions(model: &LlmModel, all: Vec<Desired>, now: Timestamp) -> LlmModelStatus {
    let old = model.status.clone().unwrap_or_default();
    let generation = model.metadata.generation.unwrap_or_default();
    LlmModelStatus {
        observed_generation: Some(generation),
        conditions: merge(&old.conditions, all, generation, now),
        ..old
    }
}

fn desired(type_: Type, status: impl Into<Truth>, reason: Reason, message: impl Into<String>) -> Desired {
    Desired::new(type_.as_str(), status, reason.as_str(), message)
}
