//! What is told of a deployment: computed from what was applied and what the pods show. Pure.

pub(crate) mod cause;
mod firewall;
pub(crate) mod isolation;
mod model;
mod pods;
mod privacy;
mod refusals;
mod reported;
mod scheduling;
mod summary;
#[cfg(test)]
mod tests;
mod words;

use alcazar_contract::labels;
use alcazar_crds::{
    conditions::DeploymentCondition as Type,
    llm_deployment::{LlmDeployment, LlmDeploymentStatus},
    llm_model::LlmModel,
    reasons::DeploymentReason as Reason,
};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use self::{
    cause::{Cause, Weight},
    isolation::Finding,
    summary::{Phase, Summary},
};
use super::{
    build,
    observe::{Observed, ObservedPod},
    plan::Plan,
    validate::{self, ValidatedDeployment},
};
use crate::{
    apply,
    children::{Applied, Resources},
    conditions::{self, Desired, Truth, find},
    telemetry::api_errors::Fault,
};

/// All that a status is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// Its generation and its old conditions.
    pub(crate) object: &'a LlmDeployment,
    pub(crate) valid: &'a ValidatedDeployment,
    pub(crate) observed: &'a Observed,
    pub(crate) plan: &'a Plan,
    /// The model as it is after the pass.
    pub(crate) model: Option<&'a LlmModel>,
    /// The Deployment as it is after the pass.
    pub(crate) deployment: Option<&'a Deployment>,
    /// What kept the pass from being complete.
    pub(crate) trouble: Option<&'a Cause>,
}

impl<'a> Seen<'a> {
    /// With what was applied in place of what was seen before.
    pub(crate) fn after(self, applied: &'a Resources<Applied>) -> Self {
        let named = self.object.spec.model_name.is_some();
        Self {
            model: if named { self.observed.model.as_ref() } else { applied.models.first() },
            deployment: applied.deployments.first(),
            ..self
        }
    }

    fn old(&self) -> Option<&'a LlmDeploymentStatus> {
        self.object.status.as_ref()
    }

    /// Pods that are there to stay.
    fn pods(&self) -> impl Iterator<Item = &'a ObservedPod> + Clone + use<'a> {
        self.observed.pods.iter().filter(|pod| pod.pod.metadata.deletion_timestamp.is_none())
    }
}

/// The status of an object before its first pass: everything known, nothing decided.
pub(crate) fn first(object: &LlmDeployment, now: Timestamp) -> LlmDeploymentStatus {
    let (reason, message) = (Reason::Pending.as_str(), "the operator has seen it and begins");
    let unknown = |type_: Type| Desired::new(type_.as_str(), Truth::Unknown, reason, message);
    let desired = vec![
        Desired::new(Type::Ready.as_str(), Truth::False, reason, message),
        Desired::new(Type::Reconciling.as_str(), Truth::True, reason, message),
        unknown(Type::Accepted),
        unknown(Type::ModelReady),
        unknown(Type::Scheduled),
        unknown(Type::NetworkIsolated),
        unknown(Type::Rolledout),
    ];
    let generation = object.metadata.generation.unwrap_or_default();
    LlmDeploymentStatus {
        observed_generation: Some(generation),
        conditions: conditions::merge(&[], desired, generation, now),
        model_name: object.spec.model_name.clone().or_else(|| object.metadata.name.clone()),
        ..LlmDeploymentStatus::default()
    }
}

/// The status of a spec that cannot work. What serves goes on, so what was told of it stays.
pub(crate) fn refused(object: &LlmDeployment, why: &validate::Error, now: Timestamp) -> LlmDeploymentStatus {
    let (reason, message) = (why.reason().as_str(), why.to_string());
    let old = object.status.clone().unwrap_or_else(|| first(object, now));
    let mut desired = vec![
        Desired::new(Type::Ready.as_str(), Truth::False, reason, message.clone()),
        Desired::new(Type::Stalled.as_str(), Truth::True, reason, message.clone()),
        Desired::new(Type::Accepted.as_str(), Truth::False, reason, message),
    ];
    desired.extend([Type::ModelReady, Type::Scheduled, Type::NetworkIsolated, Type::Rolledout].map(|type_| {
        keep(&old, type_).unwrap_or_else(|| Desired::new(type_.as_str(), Truth::Unknown, Reason::Pending.as_str(), ""))
    }));
    let generation = object.metadata.generation.unwrap_or_default();
    let merged = conditions::merge(&old.conditions, desired, generation, now);
    LlmDeploymentStatus { observed_generation: Some(generation), conditions: merged, ..old }
}

/// The status after a pass.
pub(crate) fn compute(seen: Seen<'_>, now: Timestamp) -> LlmDeploymentStatus {
    let finding = isolation::find(seen);
    let summary = Summary::of(seen, &finding);
    let generation = seen.object.metadata.generation.unwrap_or_default();
    let old = seen.old().map_or(&[][..], |old| &old.conditions[..]);
    let deployment = seen.deployment.and_then(|deployment| deployment.status.as_ref());
    let reported = reported::read(seen);
    LlmDeploymentStatus {
        observed_generation: Some(generation),
        conditions: conditions::merge(old, desired(seen, &summary, &finding), generation, now),
        replicas: Some(deployment.and_then(|status| status.replicas).unwrap_or_default()),
        ready_replicas: Some(deployment.and_then(|status| status.ready_replicas).unwrap_or_default()),
        selector: Some(selector(seen.valid)),
        model_name: Some(seen.valid.model_name().to_owned()),
        model_digest: reported.digest,
        endpoint: Some(build::endpoint(seen.valid)),
        acceleration: reported.acceleration,
        performance: reported.performance,
    }
}

/// What a failed apply means to people; none when the API server just was not at its best.
pub(crate) fn trouble(failure: &apply::Error) -> Cause {
    let text = failure.to_string();
    match failure {
        apply::Error::NameConflict { .. } => Cause::stalls(Reason::NameConflict, text),
        apply::Error::Leaving { .. } | apply::Error::Read { .. } => Cause::waits(Reason::Pending, text),
        apply::Error::Request { .. } => match failure.fault() {
            Some(Fault::QuotaExceeded) => {
                let mend = "raise the quota; the operator goes on by itself";
                Cause::stalls(Reason::QuotaExceeded, format!("{text}; {mend}"))
            }
            Some(Fault::Forbidden) => {
                let mend = "look at the operator's rights (helm upgrade restores them) and at admission policies";
                Cause::stalls(Reason::Pending, format!("{text}; {mend}"))
            }
            Some(Fault::Invalid) => Cause::stalls(Reason::InvalidSpec, text),
            _ => Cause::waits(Reason::Pending, text),
        },
    }
}

/// No authority, and no certificate to go on with.
pub(crate) fn no_certificate(why: &str) -> Cause {
    Cause::stalls(Reason::CertificateUnavailable, format!("the pods cannot get a certificate: {why}"))
}

fn selector(valid: &ValidatedDeployment) -> String {
    let labels = valid.owner.selector(labels::COMPONENT_SERVE);
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn desired(seen: Seen<'_>, summary: &Summary, finding: &Finding) -> Vec<Desired> {
    let (reason, message) = (summary.reason.as_str(), &summary.message);
    let of = |type_: Type, status: bool| Desired::new(type_.as_str(), status, reason, message.clone());
    let accepted = "the spec makes sense and is allowed here";
    let mut all = vec![
        of(Type::Ready, summary.phase == Phase::Settled),
        of(Type::Reconciling, summary.phase == Phase::Working),
        of(Type::Stalled, summary.phase == Phase::Stuck),
        Desired::new(Type::Accepted.as_str(), Truth::True, Reason::Accepted.as_str(), accepted),
        model::condition(seen),
        scheduled(seen, summary),
        firewall::condition(seen, finding),
        rolled_out(seen, summary),
    ];
    all.push(privacy::condition(seen.valid.prompt_logging_days));
    all
}

fn scheduled(seen: Seen<'_>, summary: &Summary) -> Desired {
    let of = |status: Truth, reason: Reason, message: &str| {
        Desired::new(Type::Scheduled.as_str(), status, reason.as_str(), message)
    };
    let wanted = usize::try_from(seen.valid.replicas).unwrap_or_default();
    let placed = seen.pods().filter(|pod| pod.pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())).count();
    let blocks =
        |cause: &&Cause| matches!(cause.reason, Reason::Unschedulable | Reason::QuotaExceeded | Reason::PodRefused);
    if let Some(cause) = summary.cause.as_ref().filter(blocks) {
        of(Truth::False, cause.reason, &cause.message)
    } else if let Some(reason) = summary::at_rest(seen.valid) {
        of(Truth::True, reason, "no pods are wanted")
    } else if placed >= wanted {
        of(Truth::True, Reason::Scheduled, "every pod has a node")
    } else {
        of(Truth::Unknown, Reason::Pending, "not every pod is there yet")
    }
}

fn rolled_out(seen: Seen<'_>, summary: &Summary) -> Desired {
    let of = |status: Truth, reason: Reason, message: &str| {
        Desired::new(Type::Rolledout.as_str(), status, reason.as_str(), message)
    };
    match (&summary.cause, seen.deployment) {
        (_, None) => of(Truth::Unknown, Reason::Pending, "there are no pods yet"),
        (_, Some(deployment)) if summary::is_rolled_out(deployment, seen.valid) => {
            of(Truth::True, Reason::RolledOut, "all pods run the current spec")
        }
        (Some(cause), _) if cause.weight == Weight::Stalls => of(Truth::False, cause.reason, &cause.message),
        _ => of(Truth::False, Reason::RollingOut, "the pods are being brought up to the current spec"),
    }
}

/// A condition as it was, for what there is no news of.
fn keep(old: &LlmDeploymentStatus, type_: Type) -> Option<Desired> {
    let condition = find(&old.conditions, type_.as_str())?;
    let status = match condition.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    };
    // Only a reason of the closed set is written again.
    let reason = Reason::from_name(&condition.reason)?;
    Some(Desired::new(type_.as_str(), status, reason.as_str(), condition.message.clone()))
}
