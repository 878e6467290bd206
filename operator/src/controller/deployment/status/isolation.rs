//! Whether the firewall holds, as the pods themselves and the operator have tried it. Pure.

use std::{collections::BTreeSet, net::SocketAddr};

use alcazar_contract::{
    isolation::{Target, TargetKind, WANTED_ROUNDS},
    status::Isolation,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::Seen;
use crate::controller::deployment::{
    observe::ObservedPod,
    reports::{Answers, DoorTried, Report, is_ready},
};

/// A round older than this proves nothing about now: the pods try every ten seconds.
const ROUND_SECONDS: u64 = 60;

/// What was found, taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Every ready pod has a fresh proof, and let the operator in nowhere.
    Proven(Proof),
    /// A pod reached what it must not reach, or somebody got in who must not.
    Broken(Breach),
    /// There is no fresh proof; why, for people.
    Unproven(String),
    /// The operator has just started and asked nobody yet: what its predecessor wrote stands.
    AsBefore,
}

/// What a proof rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    /// What was tried.
    pub(crate) kinds: BTreeSet<TargetKind>,
    /// By which ways.
    pub(crate) families: BTreeSet<&'static str>,
    /// Whether the operator's attempts at the model port are part of it.
    pub(crate) door: bool,
}

/// What does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breach {
    /// What pods reached.
    pub(crate) reached: BTreeSet<Target>,
    /// Where the operator got in.
    pub(crate) entered: BTreeSet<SocketAddr>,
}

/// Whether a pod's finding proves that it is isolated now.
pub(crate) fn is_proof(isolation: &Isolation) -> bool {
    isolation.reached.is_empty()
        && isolation.blocked_rounds >= WANTED_ROUNDS
        && isolation.seconds_since_last_round <= ROUND_SECONDS
}

/// Over all pods that are there to stay.
pub(crate) fn find(seen: Seen<'_>) -> Finding {
    let breach = breach(seen);
    if breach != Breach::default() {
        return Finding::Broken(breach);
    }
    if seen.pods().any(is_known_from_before) {
        return Finding::AsBefore;
    }
    let mut proof = Proof { door: seen.valid.door.shuts_out_operator, ..Proof::default() };
    let mut ready = seen.pods().filter(|pod| is_ready(&pod.pod)).peekable();
    if ready.peek().is_none() {
        return Finding::Unproven("no pod is ready yet".to_owned());
    }
    for pod in ready {
        let Some(isolation) = isolation(pod).filter(|isolation| is_proof(isolation)) else {
            return Finding::Unproven("no proof from every ready pod yet".to_owned());
        };
        if proof.door && pod.door == DoorTried::NotYet {
            return Finding::Unproven("the operator has not tried the model port of every ready pod yet".to_owned());
        }
        proof.kinds.extend(isolation.tried.iter().map(|target| target.kind));
        proof.families.extend(isolation.tried.iter().map(Target::family));
    }
    controlled(&seen.observed.canary, proof)
}

/// Silence is a proof only where there was something to hear.
fn controlled(canary: &Answers, proof: Proof) -> Finding {
    match canary {
        Answers::Yes => Finding::Proven(proof),
        Answers::NotYet => Finding::AsBefore,
        Answers::No(address) => Finding::Unproven(format!(
            "the pods reach nothing, but neither does the operator reach its own canary at {address}, so that proves \
             nothing: look at Service alcazar-canary and at the policies of the operator's namespace"
        )),
    }
}

fn isolation(pod: &ObservedPod) -> Option<&Isolation> {
    pod.told()?.isolation.as_ref()
}

fn breach(seen: Seen<'_>) -> Breach {
    let reached = seen.pods().filter_map(isolation).flat_map(|found| found.reached.iter().cloned()).collect();
    let doors = seen.pods().filter(|_| seen.valid.door.shuts_out_operator).map(|pod| &pod.door);
    let entered = doors.flat_map(|door| match door {
        DoorTried::Open(addresses) => addresses.as_slice(),
        DoorTried::NotYet | DoorTried::Shut => &[],
    });
    Breach { reached, entered: entered.copied().collect() }
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
