//! What is claimed of the firewall, and when.

use alcazar_crds::llm_deployment::{AccessMode, IsolationMode};
use jiff::SignedDuration;

use super::serving;
use crate::controller::deployment::{
    reports::{Answers, DoorTried, Report},
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
    world.observed.pods[1].door = DoorTried::Shut;
    let early = world.report();
    assert_eq!(early.of("NetworkIsolated"), "Unknown/IsolationUnproven", "the second says nothing");
    assert_eq!((early.of("Ready"), early.health(1)), ("False/IsolationUnproven".to_owned(), "InProgress"));
    assert!(early.message("Ready").contains("the pods serve; no proof from every ready pod yet"));
    world.observed.pods[1].report = told(isolated());
    let proven = world.report();
    assert_eq!((proven.of("NetworkIsolated"), proven.health(1)), ("True/IsolationProven".to_owned(), "Current"));
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

#[test]
fn what_is_claimed_is_what_was_tried() {
    let mut world = serving();
    let proven = world.report();
    let message = proven.message("NetworkIsolated");
    for words in ["the operator's canary, the API server", "metadata", "by IPv4", "their model port"] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(proven.of("PromptLogging"), "-");
}

#[test]
fn a_door_that_lets_the_operator_in() {
    let mut world = serving();
    world.report();
    world.observed.pods[0].door = DoorTried::NotYet;
    assert_eq!(world.report().of("NetworkIsolated"), "Unknown/IsolationUnproven", "half a proof");
    world.observed.pods[0].door = DoorTried::Open(vec!["10.1.2.3:8443".parse().unwrap()]);
    let open = world.report();
    assert_eq!(open.of("NetworkIsolated"), "False/IsolationBroken");
    assert!(open.message("NetworkIsolated").contains("10.1.2.3:8443"), "{}", open.message("NetworkIsolated"));
    assert_eq!(open.of("Ready"), "True/Serving", "the pods themselves reach nothing");
    world.object.spec.access.mode = AccessMode::Direct;
    world.object.spec.network.allow_from = serde_yaml::from_str("[{namespaceSelector: {}}]").unwrap();
    let everybody = world.report();
    assert_eq!(everybody.of("NetworkIsolated"), "True/IsolationProven", "the operator may come in");
    assert!(everybody.message("NetworkIsolated").contains("was not tried"));
}

/// Nobody is told that it serves as asked for before that is so.
#[test]
fn it_is_not_ready_before_the_first_proof() {
    let fresh = |change: &dyn Fn(&mut World)| {
        let mut world = serving();
        change(&mut world);
        let told = world.report();
        (told.of("Ready"), told.health(1))
    };
    let unproven = ("False/IsolationUnproven".to_owned(), "InProgress");
    assert_eq!(fresh(&|world| world.observed.pods[0].door = DoorTried::NotYet), unproven, "half a proof");
    assert_eq!(fresh(&|world| world.observed.pods[0].report = Report::Silent), unproven);
    assert_eq!(fresh(&|world| world.observed.canary = Answers::No("10.96.4.4:8083".to_owned())), unproven);
    let just_started = Report::NotAsked { since: now() - SignedDuration::from_secs(1) };
    assert_eq!(fresh(&|world| world.observed.pods[0].report = just_started.clone()), unproven, "a new operator");
    let open = DoorTried::Open(vec!["10.1.2.3:8443".parse().unwrap()]);
    let stalled = ("False/IsolationBroken".to_owned(), "Failed");
    assert_eq!(fresh(&|world| world.observed.pods[0].door = open.clone()), stalled);
    let best_effort = |world: &mut World| {
        world.object.spec.network.isolation = IsolationMode::BestEffort;
        world.observed.pods[0].report = Report::Silent;
    };
    assert_eq!(fresh(&best_effort), ("True/Serving".to_owned(), "Current"));
    let mut world = serving();
    world.report();
    world.observed.pods[0].report = Report::Silent;
    assert_eq!(world.report().of("Ready"), "True/Serving", "the pods hold the firewall themselves");
}

#[test]
fn silence_proves_nothing_while_the_canary_is_silent_too() {
    let mut world = serving();
    world.observed.canary = Answers::No("10.96.4.4:8083".to_owned());
    let told = world.report();
    assert_eq!(told.of("NetworkIsolated"), "Unknown/IsolationUnproven");
    assert!(told.message("NetworkIsolated").contains("canary at 10.96.4.4:8083"));
    world.observed.canary = Answers::NotYet;
    assert_eq!(world.report(), told, "a new operator says what the old one said");
    world.observed.canary = Answers::Yes;
    assert_eq!(world.report().of("NetworkIsolated"), "True/IsolationProven");
}

#[test]
fn prompts_that_may_be_kept_are_told() {
    let mut world = serving();
    world.object.spec.privacy = serde_yaml::from_str("{promptLogging: Enabled, retentionDays: 7}").unwrap();
    let told = world.report();
    assert_eq!((told.of("PromptLogging"), told.health(1)), ("True/PromptLoggingEnabled".to_owned(), "Current"));
    assert!(told.message("PromptLogging").contains("after 7 days"));
    world.object.spec.privacy = serde_yaml::from_str("{}").unwrap();
    assert_eq!(world.report().of("PromptLogging"), "-");
}
