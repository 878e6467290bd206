//! Why no node takes a pod. Pure.

use std::collections::BTreeSet;

use alcazar_crds::reasons::DeploymentReason as Reason;
use k8s_openapi::api::core::v1::PodStatus;

use super::cause::{Cause, quote};

/// The scheduler's words with a mend; none once the pod has a node, or before the scheduler has spoken.
pub(crate) fn cause(status: &PodStatus) -> Option<Cause> {
    let condition = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let words = quote(condition.message.as_deref().unwrap_or("no words from the scheduler"));
    if condition.reason.as_deref() == Some("SchedulingGated") {
        return Some(Cause::waits(Reason::Pending, format!("the pods are held back by a scheduling gate: {words}")));
    }
    let message = match mends(&words) {
        mends if mends.is_empty() => format!("no node can run a pod: {words}"),
        mends => format!("no node can run a pod: {words}; {}", mends.join(", or ")),
    };
    Some(Cause::waits(Reason::Unschedulable, message))
}

/// What helps against each of the scheduler's complaints, in a fixed order.
fn mends(words: &str) -> Vec<String> {
    let mut mends: Vec<String> = Vec::new();
    let missing: BTreeSet<&str> = words.split("Insufficient ").skip(1).filter_map(resource).collect();
    for resource in missing {
        let field = match resource {
            "cpu" => "spec.resources.cpu",
            "memory" => "spec.resources.memory",
            "pods" | "ephemeral-storage" => "",
            _ => "spec.resources.gpus",
        };
        mends.push(if field.is_empty() {
            format!("add a node with room for {resource}")
        } else {
            format!("lower {field} or add a node with more {resource}")
        });
    }
    let known = [
        ("node affinity/selector", "correct spec.resources.nodeSelector or label a node"),
        ("untolerated taint", "add the taint to spec.resources.tolerations"),
        ("topology spread", "relax spec.podTemplate.topologySpreadConstraints"),
        ("volume node affinity", "the weights lie on another node: free that one, or use storage that all nodes reach"),
        ("persistentvolumeclaim", "the claim with the weights must exist and be bound"),
        ("no nodes available", "add a node"),
    ];
    mends.extend(known.iter().filter(|(words_of, _)| words.contains(words_of)).map(|(_, mend)| (*mend).to_owned()));
    mends
}

/// The resource's name at the start of what follows "Insufficient".
fn resource(rest: &str) -> Option<&str> {
    let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
    rest.get(..end).map(|name| name.trim_end_matches('.')).filter(|name| !name.is_empty())
}
