//! What is claimed of the firewall, and when.

use alcazar_crds::llm_deployment::IsolationMode;
use jiff::SignedDuration;

use super::serving;
use crate::controller::deployment::{
    reports::Report,
    test_support::{LOADING, READY, World, isolated, not_isolated, now, pod, pod_named, serving_pod, told},
};

#[test]
fn a_firewall_that_does_not_hold() {
    let mut world = World::assistant().deployed([1, 1, 0]).with_pod(pod(LOADING));
    world.observed.pods[0].report = told(not_isolated(false));
    let told_required = world.report();
    assert_eq!(told_required.of("NetworkIsolated"), "False/IsolationBroken");
    assert_eq!((told_required.of("Stalled"), told_required.health(1)), ("True/IsolationBroken".to_owned(), "Failed"));
    for words in ["10.96.0.1:443", "does not enforce NetworkPolicies", "serves nothing"] {
        assert!(told_required.message("Ready").contains(words), "{}", told_required.message("Ready"));
    }
    let mut world = serving();
    world.object.spec.network.isolation = IsolationMode::BestEffort;
    world.observed.pods[0].report = told(not_isolated(true));
    let best_effort = world.report();
    assert_eq!(
        (best_effort.of("NetworkIsolated"), best_effort.of("Ready")),
        ("False/IsolationBroken".to_owned(), "True/Serving".to_owned())
    );
}

#[test]
fn isolation_is_only_claimed_with_a_fresh_proof_of_every_ready_pod() {
    let mut world = World::assistant();
    world.object.spec.replicas = Some(2);
    let mut world = world.deployed([2, 2, 2]).with_pod(serving_pod()).with_pod(pod_named("assistant-2", READY));
    assert_eq!(world.report().of("NetworkIsolated"), "Unknown/IsolationUnproven", "the second says nothing");
    world.observed.pods[1].report = told(isolated());
    assert_eq!(world.report().of("NetworkIsolated"), "True/IsolationProven");
    let mut stale = isolated();
    stale.isolation.as_mut().unwrap().seconds_since_last_round = 61;
    world.observed.pods[1].report = told(stale);
    assert_eq!(world.report().of("NetworkIsolated"), "Unknown/IsolationUnproven");
    assert_eq!(world.report().of("Ready"), "True/Serving", "the pods hold the firewall themselves");
}

/// A new operator must not unsay what its predecessor knew before it has asked anybody.
#[test]
fn a_restart_changes_nothing_until_the_pods_were_asked() {
    let since = now() - SignedDuration::from_secs(1);
    let mut world = serving();
    let before = world.report();
    world.observed.pods[0].report = Report::NotAsked { since };
    assert_eq!(world.report(), before);
    world.observed.pods[0].report = Report::Silent;
    assert_eq!(world.report().of("NetworkIsolated"), "Unknown/IsolationUnproven");
    world.observed.pods[0].report = Report::NotAsked { since: now() - SignedDuration::from_hours(9) };
    assert_eq!(world.report().of("NetworkIsolated"), "Unknown/IsolationUnproven", "a pod younger than the operator");

    let mut world = World::assistant().deployed([1, 1, 0]).with_pod(pod(LOADING));
    world.observed.pods[0].report = told(not_isolated(false));
    let before = world.report();
    world.observed.pods[0].report = Report::NotAsked { since };
    assert_eq!(world.report(), before, "bad news neither");
}
