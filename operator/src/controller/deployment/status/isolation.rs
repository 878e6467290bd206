//! Whether the firewall holds, as the pods themselves have tried it. Pure.

use std::collections::BTreeSet;

use alcazar_contract::status::Isolation;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::controller::deployment::{
    observe::ObservedPod,
    reports::{Report, is_ready},
};

/// Rounds in a row in which nothing must have been reached; the runtime opens no weights before.
const ROUNDS: u32 = 3;
/// A round older than this proves nothing about now: the pods try every ten seconds.
const ROUND_SECONDS: u64 = 60;

/// What the pods found, taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Every ready pod has a fresh proof.
    Proven,
    /// These were reached.
    Broken(BTreeSet<String>),
    /// A ready pod has no fresh proof, or no pod is ready.
    Unproven,
    /// The operator has just started and asked nobody yet: what its predecessor wrote stands.
    AsBefore,
}

/// Whether a pod's finding proves that it is isolated now.
pub(crate) fn is_proof(isolation: &Isolation) -> bool {
    isolation.reached.is_empty()
        && isolation.blocked_rounds >= ROUNDS
        && isolation.seconds_since_last_round <= ROUND_SECONDS
}

/// Over all pods that are there to stay.
pub(crate) fn find<'a>(pods: impl Iterator<Item = &'a ObservedPod> + Clone) -> Finding {
    let isolation = |pod: &'a ObservedPod| pod.told().and_then(|told| told.isolation.as_ref());
    let reached: BTreeSet<String> =
        pods.clone().filter_map(isolation).flat_map(|found| found.reached.iter().cloned()).collect();
    if !reached.is_empty() {
        return Finding::Broken(reached);
    }
    if pods.clone().any(is_known_from_before) {
        return Finding::AsBefore;
    }
    let mut ready = pods.filter(|pod| is_ready(&pod.pod)).peekable();
    if ready.peek().is_some() && ready.all(|pod| isolation(pod).is_some_and(is_proof)) {
        Finding::Proven
    } else {
        Finding::Unproven
    }
}

/// A pod that ran before this operator did, and that it has not asked yet.
pub(crate) fn is_known_from_before(pod: &ObservedPod) -> bool {
    match pod.report {
        Report::NotAsked { since } => began(&pod.pod).is_some_and(|began| began < since),
        Report::Silent | Report::Told(_) => false,
    }
}

/// When a ready pod got ready, and any other one was taken up by its node.
fn began(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().find(|c| c.type_ == "Ready" && c.status == "True");
    match ready {
        Some(ready) => ready.last_transition_time.as_ref().map(|time| time.0),
        None => status.start_time.as_ref().map(|time| time.0),
    }
}
