//! Pods that the API server does not even create: quota, Pod Security, admission. Pure.

use alcazar_crds::reasons::DeploymentReason;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};

use super::cause::{Cause, quote};
use crate::telemetry::api_errors::is_quota;

/// The words on the Deployment's `ReplicaFailure` condition, which repeat what the API server told the ReplicaSet.
pub(crate) fn refusal(deployment: &Deployment) -> Option<Cause> {
    let failure = condition(deployment, "ReplicaFailure").filter(|condition| condition.status == "True")?;
    Some(judge(failure.message.as_deref().unwrap_or_default()))
}

/// The Deployment's condition of that type.
pub(crate) fn condition<'a>(deployment: &'a Deployment, type_: &str) -> Option<&'a DeploymentCondition> {
    let status = deployment.status.as_ref()?;
    status.conditions.iter().flatten().find(|condition| condition.type_ == type_)
}

/// Whether the Deployment has waited as long as it was told to.
pub(crate) fn is_overdue(deployment: &Deployment) -> bool {
    condition(deployment, "Progressing").is_some_and(|progressing| {
        progressing.status == "False" && progressing.reason.as_deref() == Some("ProgressDeadlineExceeded")
    })
}

/// A refusal and its mend.
pub(crate) fn judge(message: &str) -> Cause {
    let words = quote(without_pod_name(message));
    let has = |part: &str| words.contains(part);
    if is_quota(&words) || has("usage per Pod is") {
        let mend = "lower spec.resources or spec.replicas, or raise the quota; the pods follow by themselves";
        return Cause::stalls(DeploymentReason::QuotaExceeded, format!("the pods are refused: {words}; {mend}"));
    }
    let mend = if has("PriorityClass") {
        "create the PriorityClass or correct spec.podTemplate.priorityClassName"
    } else if has("RuntimeClass") {
        "create the RuntimeClass or correct spec.podTemplate.runtimeClassName"
    } else if has("PodSecurity") {
        "the pods as the operator makes them pass the level 'restricted', so something changes them on the way: look \
         for a mutating webhook"
    } else {
        "change the policy that refuses them, or the field that it names"
    };
    let cause = Cause::stalls(DeploymentReason::PodRefused, format!("the pods are refused: {words}; {mend}"));
    // The account is on its way: the controller that makes the pods tries again.
    if has("serviceaccount") && has("not found") { Cause::waits(cause.reason, cause.message) } else { cause }
}

/// Every attempt has another pod name; without it the message stays the same.
fn without_pod_name(message: &str) -> &str {
    let pod = message.starts_with("pods \"") || message.starts_with("Pod \"");
    let rest = ["\" is forbidden: ", "\" is invalid: "].iter().find_map(|end| message.split_once(end));
    match rest {
        Some((_, rest)) if pod => rest,
        _ => message,
    }
}
