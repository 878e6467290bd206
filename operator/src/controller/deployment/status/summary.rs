//! The one sentence: does it serve as asked for, is it on its way, or does it need a person. Pure.

use alcazar_crds::{
    conditions::DeploymentCondition as Type, llm_deployment::IsolationMode, reasons::DeploymentReason as Reason,
};
use k8s_openapi::api::apps::v1::Deployment;

use super::{
    Seen,
    cause::{Cause, Weight},
    firewall,
    isolation::{Breach, Finding},
    model, pods, refusals,
};
use crate::{
    conditions,
    controller::deployment::{build, reports::is_ready, validate::ValidatedDeployment},
};

/// How far it is, as kstatus tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The cluster is as the spec asks for.
    Settled,
    /// The operator or the cluster works on it.
    Working,
    /// Nothing helps but a change by somebody.
    Stuck,
}

/// The summary, with what keeps the pods from serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) phase: Phase,
    pub(super) reason: Reason,
    pub(super) message: String,
    /// Of the pods, whatever comes before it in the summary.
    pub(super) cause: Option<Cause>,
}

impl Summary {
    pub(super) fn of(seen: Seen<'_>, finding: &Finding) -> Self {
        let cause = pods_cause(seen);
        let decided = seen
            .trouble
            .cloned()
            .or_else(|| model::lack(seen))
            .or_else(|| broken(seen, finding))
            .or_else(|| cause.clone())
            .or_else(|| unfinished(seen))
            .or_else(|| unproven(seen, finding));
        match decided {
            Some(Cause { reason, message, weight }) => {
                let phase = if weight == Weight::Stalls { Phase::Stuck } else { Phase::Working };
                Self { phase, reason, message, cause }
            }
            None => Self { phase: Phase::Settled, reason: settled(seen), message: praise(seen), cause },
        }
    }
}

/// Without pods on purpose.
pub(super) fn at_rest(valid: &ValidatedDeployment) -> Option<Reason> {
    if valid.suspended { Some(Reason::Suspended) } else { (valid.replicas == 0).then_some(Reason::ScaledToZero) }
}

fn settled(seen: Seen<'_>) -> Reason {
    at_rest(seen.valid).unwrap_or(Reason::Serving)
}

fn praise(seen: Seen<'_>) -> String {
    match at_rest(seen.valid) {
        Some(Reason::Suspended) => "spec.state is Suspended: no pods, on purpose".to_owned(),
        Some(_) => "spec.replicas is 0: no pods, on purpose".to_owned(),
        None => {
            let endpoint = build::endpoint(seen.valid);
            format!("{} of {} pods serve at {endpoint}", seen.valid.replicas, seen.valid.replicas)
        }
    }
}

/// Whether every pod that is wanted, and no other, is there, new and available.
pub(super) fn is_rolled_out(deployment: &Deployment, valid: &ValidatedDeployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    let count = |value: Option<i32>| value.unwrap_or_default() == valid.replicas;
    status.observed_generation >= deployment.metadata.generation
        && count(status.replicas)
        && count(status.updated_replicas)
        && count(status.ready_replicas)
        && count(status.available_replicas)
}

/// What the API server and the pods complain of; none once all is rolled out.
fn pods_cause(seen: Seen<'_>) -> Option<Cause> {
    let deployment = seen.deployment?;
    if is_rolled_out(deployment, seen.valid) {
        return None;
    }
    let refusal = refusals::refusal(deployment);
    let of_pods = seen.pods().filter_map(pods::cause).reduce(Cause::worse);
    let cause = match (refusal, of_pods) {
        (Some(refusal), Some(other)) => Some(refusal.worse(other)),
        (one, other) => one.or(other),
    };
    overdue(seen, deployment, cause)
}

/// After the deadline nobody works on it any more.
fn overdue(seen: Seen<'_>, deployment: &Deployment, cause: Option<Cause>) -> Option<Cause> {
    if !refusals::is_overdue(deployment) {
        return cause;
    }
    let seconds = seen.valid.progress_deadline_seconds;
    match cause {
        Some(cause) if !cause.is_progress() => Some(Cause { weight: Weight::Stalls, ..cause }),
        Some(cause) => Some(Cause::stalls(
            Reason::ProgressDeadlineExceeded,
            format!("not ready within {seconds} s (spec.rollout.progressDeadlineSeconds): {}", cause.message),
        )),
        None => Some(Cause::stalls(
            Reason::ProgressDeadlineExceeded,
            format!("not ready within {seconds} s (spec.rollout.progressDeadlineSeconds)"),
        )),
    }
}

/// A firewall that does not hold is worse than any pod's trouble, and the cause of most.
fn broken(seen: Seen<'_>, finding: &Finding) -> Option<Cause> {
    match (finding, seen.valid.isolation) {
        // Only what goes out keeps the pods from serving; they cannot know who may come in.
        (Finding::Broken(Breach { reached, .. }), IsolationMode::Required) if !reached.is_empty() => {
            Some(Cause::stalls(Reason::IsolationBroken, firewall::broken(seen, reached)))
        }
        // Still so until a pod has told otherwise.
        (Finding::AsBefore, IsolationMode::Required) => {
            let old = super::keep(seen.old()?, Type::Ready)?;
            let is_broken = old.reason == Reason::IsolationBroken.as_str();
            is_broken.then(|| Cause::stalls(Reason::IsolationBroken, old.message))
        }
        _ => None,
    }
}

/// All pods serve, and nobody has shown yet that the firewall holds: that comes first. What has been told once is not taken
/// back for want of a fresh proof, since the pods hold the firewall themselves and stop when it does not.
fn unproven(seen: Seen<'_>, finding: &Finding) -> Option<Cause> {
    let was_ready = seen.old().is_some_and(|old| conditions::is_true(&old.conditions, Type::Ready.as_str()));
    if seen.valid.isolation != IsolationMode::Required || seen.valid.replicas == 0 || was_ready {
        return None;
    }
    let waits = |message: String| Some(Cause::waits(Reason::IsolationUnproven, message));
    match finding {
        Finding::Proven(_) => None,
        // What pods reached is told before.
        Finding::Broken(breach) => Some(Cause::stalls(Reason::IsolationBroken, firewall::breached(seen, breach))),
        Finding::Unproven(why) => waits(format!("the pods serve; {why}")),
        Finding::AsBefore => {
            let before = seen.old().and_then(|old| super::keep(old, Type::Ready));
            let before = before.filter(|before| before.reason == Reason::IsolationUnproven.as_str());
            let words = "the pods serve; the operator is asking them whether the firewall holds";
            waits(before.map_or_else(|| words.to_owned(), |before| before.message))
        }
    }
}

/// On the way, with nothing in it.
fn unfinished(seen: Seen<'_>) -> Option<Cause> {
    let Some(deployment) = seen.deployment else {
        return Some(Cause::waits(Reason::Pending, "the pods are about to be made"));
    };
    if is_rolled_out(deployment, seen.valid) {
        return None;
    }
    let wanted = seen.valid.replicas;
    if wanted == 0 {
        return Some(Cause::waits(Reason::RollingOut, "the pods are being stopped"));
    }
    let status = deployment.status.clone().unwrap_or_default();
    let current = status.observed_generation >= deployment.metadata.generation;
    let replaced = current && status.updated_replicas.unwrap_or_default() >= wanted;
    let ready = seen.pods().filter(|pod| is_ready(&pod.pod)).count();
    Some(match ready {
        0 => Cause::waits(Reason::Pending, "waiting for the pods to be started"),
        _ if !replaced => {
            Cause::waits(Reason::RollingOut, "the pods are being brought up to the current spec; requests are answered")
        }
        _ => Cause::waits(Reason::PartlyServing, format!("some of {wanted} pods serve, the others are on their way")),
    })
}
