//! A table of what a cluster shows and what people are told.

mod causes;
mod isolation;

use alcazar_contract::status::ServeStatus;
use alcazar_crds::llm_deployment::DesiredState;

use super::*;
use crate::controller::deployment::test_support::{
    DIGEST, LOADING, OTHER_DIGEST, Told, World, isolated, model_condition, now, pod_named, serving_pod, told,
};

fn serving() -> World {
    World::assistant().deployed([1, 1, 1]).with_pod(serving_pod())
}

#[test]
fn it_serves() {
    let told = serving().report();
    assert_eq!(told.of("Ready"), "True/Serving");
    assert_eq!(told.message("Ready"), "1 of 1 pods serve at https://alcazar-gateway.alcazar-system.svc/v1");
    assert_eq!((told.of("Reconciling"), told.of("Stalled")), ("-".to_owned(), "-".to_owned()));
    assert_eq!(told.of("Accepted"), "True/Accepted");
    assert_eq!(told.of("ModelReady"), "True/ModelSealed");
    assert_eq!(told.of("Scheduled"), "True/Scheduled");
    assert_eq!(told.of("NetworkIsolated"), "True/IsolationProven");
    assert_eq!(told.of("Rolledout"), "True/RolledOut");
    assert_eq!(told.health(1), "Current");
    let status = told.0;
    assert_eq!((status.replicas, status.ready_replicas), (Some(1), Some(1)));
    assert_eq!(status.model_name.as_deref(), Some("assistant"));
    assert_eq!(status.model_digest.as_deref(), Some(DIGEST));
    assert_eq!(status.endpoint.as_deref(), Some("https://alcazar-gateway.alcazar-system.svc/v1"));
    assert_eq!(
        status.selector.as_deref(),
        Some(
            "alcazar.dev/deployment=assistant,app.kubernetes.io/component=model-server,app.kubernetes.io/name=alcazar-runtime"
        )
    );
    let acceleration = status.acceleration.unwrap();
    assert_eq!((acceleration.device.as_str(), acceleration.layers_offloaded), ("CPU", 30));
    let performance = status.performance.unwrap();
    assert_eq!(
        (performance.prefill_tokens_per_second, performance.decode_tokens_per_second, performance.load_seconds),
        (1200, 57, 2)
    );
}

/// The test's world holds every status against the schema.
#[test]
fn what_a_pod_tells_is_cut_to_the_schema() {
    let mut world = serving();
    world.observed.pods[0].report = told(ServeStatus {
        device: "a GPU with a long name ".repeat(20),
        layers_offloaded: u32::MAX,
        load_milliseconds: u64::MAX,
        prefill_tokens_per_second: u32::MAX,
        ..isolated()
    });
    let annotations = world.observed.pods[0].pod.metadata.annotations.get_or_insert_default();
    annotations.insert(build::MODEL_DIGEST.to_owned(), "edited by somebody".to_owned());
    let status = world.report().0;
    assert_eq!(status.acceleration.map(|acceleration| acceleration.device.len()), Some(128));
    assert_eq!(status.model_digest, None);
}

#[test]
fn the_second_pass_says_the_same() {
    let mut world = serving();
    let first = world.report();
    assert_eq!(first, world.report());
    world.observed.pods[0].report = told(ServeStatus {
        isolation: Some(alcazar_contract::status::Isolation {
            blocked_rounds: 77,
            seconds_since_last_round: 9,
            ..isolated().isolation.unwrap()
        }),
        ..isolated()
    });
    assert_eq!(first, world.report(), "what the pod counts is not written");
}

#[test]
fn the_first_status_knows_every_condition_and_says_that_work_goes_on() {
    let world = World::assistant();
    let told = Told(first(&world.object, now()));
    assert_eq!(told.health(1), "InProgress");
    for type_ in ["Accepted", "ModelReady", "Scheduled", "NetworkIsolated", "Rolledout"] {
        assert_eq!(told.of(type_), "Unknown/Pending", "{type_}");
    }
}

#[test]
fn before_there_are_pods() {
    let mut world = World::assistant();
    world.observed.model.as_mut().unwrap().status = None;
    let told = world.report();
    assert_eq!(told.of("ModelReady"), "False/ModelNotReady");
    assert_eq!(told.of("Ready"), "False/ModelNotReady");
    assert_eq!(told.of("Scheduled"), "Unknown/Pending");
    assert_eq!(told.of("Rolledout"), "Unknown/Pending");
    assert_eq!(told.health(1), "InProgress");
    let told = World::assistant().report();
    assert_eq!((told.of("Ready"), told.health(1)), ("False/Pending".to_owned(), "InProgress"));
}

#[test]
fn a_model_that_does_not_exist_waits_and_is_named() {
    let mut world = World::assistant();
    world.object.spec.model = None;
    world.object.spec.model_name = Some("elsewhere".to_owned());
    world.observed.model = None;
    let told = world.report();
    assert_eq!(told.of("ModelReady"), "False/ModelNotFound");
    assert!(told.message("Ready").contains("create it or correct spec.modelName"), "{}", told.message("Ready"));
    assert_eq!(told.health(1), "InProgress", "both kinds may have been sent at once");
}

#[test]
fn a_model_that_failed_is_repeated_and_what_serves_goes_on() {
    let mut world = serving();
    let model = world.observed.model.as_mut().unwrap();
    model.metadata.generation = Some(2);
    let status = model.status.as_mut().unwrap();
    status.observed_generation = Some(2);
    status.conditions = vec![
        model_condition("Ready", "False", "DigestMismatch", "found a, expected b."),
        model_condition("Stalled", "True", "DigestMismatch", "found a, expected b."),
    ];
    let told = world.report();
    assert_eq!(told.of("ModelReady"), "False/ModelStalled");
    assert_eq!((told.of("Stalled"), told.health(1)), ("True/ModelStalled".to_owned(), "Failed"));
    assert_eq!(
        told.message("Ready"),
        format!("LlmModel assistant: DigestMismatch: found a, expected b; the pods go on with {DIGEST}")
    );
    assert_eq!(told.of("NetworkIsolated"), "True/IsolationProven");
    assert_eq!(told.0.model_digest.as_deref(), Some(DIGEST));
}

/// What the model waits for is repeated; how far it is, is not: that would write two statuses for one.
#[test]
fn a_model_on_its_way_is_told_once() {
    let mut world = World::assistant();
    let mut say = |reason: &str, message: &str| {
        let status = world.observed.model.as_mut().unwrap().status.as_mut().unwrap();
        status.conditions = vec![model_condition("Ready", "False", reason, message)];
        world.report()
    };
    let begun = say("Pending", "the operator has begun");
    assert_eq!(begun, say("Fetching", "12 of 98 MB"));
    assert_eq!(begun, say("Verifying", "hashing"));
    assert!(begun.message("Ready").contains("its status says how far"));
    let missing = say("SecretMissing", "Secret hub-token does not exist");
    assert_eq!(missing.of("ModelReady"), "False/ModelNotReady");
    assert!(missing.message("Ready").contains("SecretMissing: Secret hub-token does not exist"));
}

/// The model's new spec has not been looked at: what it said of the old one must not make anything ready.
#[test]
fn a_changed_model_is_not_ready_by_its_old_status() {
    let mut world = serving();
    world.observed.model.as_mut().unwrap().metadata.generation = Some(2);
    let told = world.report();
    assert_eq!((told.of("ModelReady"), told.health(1)), ("False/ModelNotReady".to_owned(), "InProgress"));
}

#[test]
fn a_rollout_on_its_way() {
    let mut world = serving();
    world.report();
    world.object.metadata.generation = Some(2);
    let deployment = world.observed.deployment.as_mut().unwrap();
    deployment.metadata.generation = Some(2);
    let told = world.report();
    assert_eq!(
        (told.of("Ready"), told.health(2)),
        ("False/RollingOut".to_owned(), "InProgress"),
        "nobody has looked yet"
    );
    let status = world.observed.deployment.as_mut().unwrap().status.as_mut().unwrap();
    (status.observed_generation, status.replicas) = (Some(2), Some(2));
    world.observed.pods.push(pod_named("assistant-new", LOADING));
    let told = world.report();
    assert_eq!((told.of("Ready"), told.of("Rolledout")), ("False/Loading".to_owned(), "False/RollingOut".to_owned()));
    let mut new = serving_pod();
    new.pod
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(build::MODEL_DIGEST.to_owned(), OTHER_DIGEST.to_owned());
    world.observed.pods[1] = new.clone();
    let told = world.report();
    assert_eq!((told.of("Ready"), told.health(2)), ("False/PartlyServing".to_owned(), "InProgress"));
    assert_eq!(told.0.model_digest.as_deref(), Some(DIGEST), "while they differ, the old one");
    world.observed.pods = vec![new];
    let status = world.observed.deployment.as_mut().unwrap().status.as_mut().unwrap();
    status.replicas = Some(1);
    let told = world.report();
    assert_eq!((told.of("Ready"), told.0.model_digest.as_deref()), ("True/Serving".to_owned(), Some(OTHER_DIGEST)));
}

#[test]
fn no_pods_on_purpose() {
    for (reason, change) in [
        ("Suspended", (|world: &mut World| world.object.spec.state = DesiredState::Suspended) as fn(&mut World)),
        ("ScaledToZero", |world| world.object.spec.replicas = Some(0)),
    ] {
        let mut world = serving();
        change(&mut world);
        let stopping = world.report();
        assert_eq!(
            (stopping.of("Ready"), stopping.health(1)),
            ("False/RollingOut".to_owned(), "InProgress"),
            "{reason}"
        );
        world.observed.pods.clear();
        let mut world = world.deployed([0, 0, 0]);
        let told = world.report();
        assert_eq!((told.of("Ready"), told.health(1)), (format!("True/{reason}"), "Current"));
        assert_eq!(told.0.acceleration, None, "nothing computes");
        assert_eq!(told.of("NetworkIsolated"), "Unknown/IsolationUnproven");
    }
}

#[test]
fn a_spec_that_cannot_work_keeps_what_is_known() {
    let mut world = serving();
    world.report();
    world.object.metadata.generation = Some(2);
    let refused = Told(refused(&world.object, &validate::Error::NoGpuImage { count: 1 }, now()));
    assert_eq!(
        (refused.of("Accepted"), refused.of("Stalled")),
        ("False/InvalidSpec".to_owned(), "True/InvalidSpec".to_owned())
    );
    assert_eq!((refused.health(2), refused.of("NetworkIsolated")), ("Failed", "True/IsolationProven".to_owned()));
    assert!(refused.message("Ready").contains("runtimeCudaImage"));
    assert_eq!(refused.0.ready_replicas, Some(1));
}

#[test]
fn trouble_of_the_operators_own() {
    let told =
        serving().report_with(Some(&no_certificate("Secret alcazar-system/alcazar-ca holds no usable authority")));
    assert_eq!((told.of("Stalled"), told.health(1)), ("True/CertificateUnavailable".to_owned(), "Failed"));
    assert!(told.message("Ready").contains("alcazar-ca"));
}

#[test]
fn two_significant_digits() {
    for (rate, shown) in [(0, 0), (7, 7), (57, 57), (578, 570), (1234, 1200), (u32::MAX, 4_200_000_000)] {
        assert_eq!(reported::two_digits(rate), shown);
    }
}

/// Every reason that is written is one that the reference page knows.
#[test]
fn every_written_reason_is_of_the_closed_set() {
    let mut world = serving();
    for condition in world.report().0.conditions {
        assert!(Reason::from_name(&condition.reason).is_some(), "{}", condition.reason);
    }
}
