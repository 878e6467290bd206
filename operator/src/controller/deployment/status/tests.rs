//! A table of what a cluster shows and what people are told, a case for each cause.

use alcazar_contract::status::ServeStatus;
use alcazar_crds::llm_deployment::{DesiredState, IsolationMode};
use jiff::SignedDuration;

use super::*;
use crate::controller::deployment::{
    reports::Report,
    test_support::{
        DIGEST, LOADING, OTHER_DIGEST, READY, Told, World, isolated, model_condition, not_isolated, now, pod,
        pod_named, serving_pod, told,
    },
};

/// `assistant` with one pod of that status, which does not serve.
fn with_pod(status: &str) -> Told {
    World::assistant().deployed([1, 1, 0]).with_pod(pod(status)).report()
}

fn container(state: &str) -> String {
    format!(
        "
phase: Running
startTime: 2026-11-23T07:59:00Z
conditions: [{{type: PodScheduled, status: 'True'}}, {{type: Ready, status: 'False'}}]
containerStatuses: [{{name: runtime, ready: false, image: i, imageID: i, {state}}}]
"
    )
}

fn serving() -> World {
    World::assistant().deployed([1, 1, 1]).with_pod(serving_pod())
}

#[test]
fn it_serves() {
    let told = serving().report();
    assert_eq!(told.of("Ready"), "True/Serving");
    assert_eq!(told.message("Ready"), "1 of 1 pods serve at https://assistant.team-a.svc/v1");
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
    assert_eq!(status.endpoint.as_deref(), Some("https://assistant.team-a.svc/v1"));
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

#[test]
fn the_second_pass_says_the_same() {
    let mut world = serving();
    let first = world.report();
    assert_eq!(first, world.report());
    world.observed.pods[0].report = told(ServeStatus {
        isolation: Some(alcazar_contract::status::Isolation {
            blocked_rounds: 77,
            reached: Vec::new(),
            seconds_since_last_round: 9,
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

/// The model's new spec has not been looked at: what it said of the old one must not make anything ready.
#[test]
fn a_changed_model_is_not_ready_by_its_old_status() {
    let mut world = serving();
    world.observed.model.as_mut().unwrap().metadata.generation = Some(2);
    let told = world.report();
    assert_eq!((told.of("ModelReady"), told.health(1)), ("False/ModelNotReady".to_owned(), "InProgress"));
}

#[test]
fn no_node_for_a_pod() {
    let unschedulable = |message: &str| {
        let mut world = World::assistant().deployed([1, 1, 0]).with_pod(pod(&format!(
            "{{phase: Pending, conditions: [{{type: PodScheduled, status: 'False', reason: Unschedulable, message: '{message}'}}]}}"
        )));
        world.observed.pods[0].pod.spec.as_mut().unwrap().node_name = None;
        world.report()
    };
    for (words, mend) in [
        (
            "0/3 nodes are available: 1 Insufficient memory, 2 Insufficient nvidia.com/gpu. preemption: none.",
            "lower spec.resources.memory or add a node with more memory, or lower spec.resources.gpus or add a node with more nvidia.com/gpu",
        ),
        ("0/1 nodes are available: 1 Insufficient cpu.", "lower spec.resources.cpu"),
        ("0/1 nodes are available: 1 Too many pods, 1 Insufficient pods.", "add a node with room for pods"),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}.",
            "add the taint to spec.resources.tolerations",
        ),
        (
            "0/1 nodes are available: 1 node(s) did not match Pods node affinity/selector.",
            "correct spec.resources.nodeSelector",
        ),
        ("0/2 nodes are available: 2 node(s) had volume node affinity conflict.", "the weights lie on another node"),
        ("no nodes available to schedule pods", "add a node"),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims, persistentvolumeclaim not found.",
            "the claim with the weights",
        ),
    ] {
        let told = unschedulable(words);
        assert_eq!(told.of("Scheduled"), "False/Unschedulable", "{words}");
        assert_eq!((told.of("Ready"), told.health(1)), ("False/Unschedulable".to_owned(), "InProgress"), "{words}");
        assert!(told.message("Ready").contains(mend), "{words}: {}", told.message("Ready"));
    }
}

#[test]
fn pods_that_are_not_even_created() {
    for (words, reason, told_words) in [
        (
            "pods \"assistant-7d9-x2k\" is forbidden: exceeded quota: small, requested: requests.memory=704Mi, used: requests.memory=0, limited: requests.memory=1Mi",
            "QuotaExceeded",
            "the pods are refused: exceeded quota: small, requested: requests.memory=704Mi",
        ),
        (
            "pods \"assistant-7d9-x2k\" is forbidden: maximum memory usage per Container is 512Mi, but limit is 704Mi",
            "QuotaExceeded",
            "raise the quota",
        ),
        (
            "pods \"assistant-7d9-x2k\" is forbidden: failed quota: q: must specify limits.cpu",
            "QuotaExceeded",
            "must specify",
        ),
        (
            "pods \"a-1\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false",
            "PodRefused",
            "mutating webhook",
        ),
        (
            "pods \"a-1\" is forbidden: no PriorityClass with name interactive was found",
            "PodRefused",
            "spec.podTemplate.priorityClassName",
        ),
        (
            "pods \"a-1\" is forbidden: pod rejected: RuntimeClass \"gvisor\" not found",
            "PodRefused",
            "spec.podTemplate.runtimeClassName",
        ),
        ("admission webhook \"deny\" denied the request: no", "PodRefused", "the policy that refuses them"),
    ] {
        let told = World::assistant()
            .deployed([0, 0, 0])
            .deployment_says("ReplicaFailure", "True", "FailedCreate", words)
            .report();
        assert_eq!(told.of("Ready"), format!("False/{reason}"), "{words}");
        assert_eq!((told.of("Stalled"), told.health(1)), (format!("True/{reason}"), "Failed"), "{words}");
        assert_eq!(told.of("Scheduled"), format!("False/{reason}"), "{words}");
        assert!(told.message("Ready").contains(told_words), "{words}: {}", told.message("Ready"));
        assert!(!told.message("Ready").contains("x2k"), "each attempt has another name");
    }
}

#[test]
fn an_image_that_cannot_be_pulled() {
    let waiting = |reason: &str| {
        container(&format!(
            "restartCount: 0, state: {{waiting: {{reason: {reason}, message: 'Back-off pulling image x: not found'}}}}"
        ))
    };
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        let told = with_pod(&waiting(reason));
        assert_eq!((told.of("Ready"), told.health(1)), ("False/ImagePullFailed".to_owned(), "InProgress"), "{reason}");
        assert!(told.message("Ready").contains("imagePullSecretNames"), "{}", told.message("Ready"));
    }
    for reason in ["InvalidImageName", "ErrImageNeverPull"] {
        assert_eq!(with_pod(&waiting(reason)).of("Stalled"), "True/ImagePullFailed", "{reason}");
    }
    let told = with_pod(&waiting("CreateContainerConfigError"));
    assert_eq!(told.of("Stalled"), "True/CrashLoop");
}

#[test]
fn a_crash_is_told_in_the_containers_own_words() {
    let crashed = |ended: &str| {
        container(&format!(
            "restartCount: 4, state: {{waiting: {{reason: CrashLoopBackOff, message: back-off}}}}, lastState: {{terminated: {ended}}}"
        ))
    };
    for (ended, reason, words) in [
        ("{exitCode: 137, reason: OOMKilled}", "OutOfMemory", "make spec.resources.memory larger"),
        (
            r#"{exitCode: 1, reason: Error, message: '{"failed":{"reason":"DigestMismatch","message":"found a, expected b"}}'}"#,
            "DigestMismatch",
            "ended with exit code 1: found a, expected b",
        ),
        (
            r#"{exitCode: 1, message: '{"failed":{"reason":"UnsupportedModel","message":"mamba"}}'}"#,
            "UnsupportedModel",
            "mamba",
        ),
        (r#"{exitCode: 1, message: '{"failed":{"reason":"Novel","message":"x"}}'}"#, "CrashLoop", "exit code 1: x"),
        (
            r#"{exitCode: 2, message: "started\n{\"level\":\"ERROR\",\"fields\":{\"message\":\"no GPU\",\"error\":\"CUDA 35\"}}\n"}"#,
            "CrashLoop",
            "exit code 2: no GPU: CUDA 35",
        ),
        (
            r#"{exitCode: 101, message: "thread panicked\nnote: run with backtrace"}"#,
            "CrashLoop",
            "exit code 101: note: run with backtrace",
        ),
        ("{exitCode: 1}", "CrashLoop", "kubectl logs assistant-7d9c5b8f6d-abcde --previous"),
    ] {
        let told = with_pod(&crashed(ended));
        assert_eq!((told.of("Stalled"), told.health(1)), (format!("True/{reason}"), "Failed"), "{ended}");
        assert!(told.message("Ready").contains(words), "{ended}: {}", told.message("Ready"));
    }
}

/// Between two crashes the container runs for a moment: that is no recovery.
#[test]
fn a_crash_loop_does_not_flap() {
    let last = "lastState: {terminated: {exitCode: 1, message: boom}}";
    let mut world = World::assistant().deployed([1, 1, 0]);
    let mut say = |state: &str| {
        world.observed.pods = vec![pod(&container(&format!("{state}, {last}")))];
        world.report()
    };
    let backoff = say("restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}");
    let running = say("restartCount: 2, state: {running: {}}");
    let ended = say("restartCount: 2, state: {terminated: {exitCode: 1, message: boom}}");
    assert_eq!(backoff.of("Stalled"), "True/CrashLoop");
    assert_eq!((&backoff, &backoff), (&running, &ended));
    let once = say("restartCount: 1, state: {running: {}}");
    assert_eq!(
        (once.of("Reconciling"), once.health(1)),
        ("True/CrashLoop".to_owned(), "InProgress"),
        "once is no loop"
    );
}

#[test]
fn a_pod_that_was_ended_by_its_probe_just_starts_again() {
    let status = container(
        "restartCount: 3, started: false, state: {running: {}}, lastState: {terminated: {exitCode: 0, reason: Completed}}",
    );
    assert_eq!(with_pod(&status).of("Ready"), "False/Loading");
}

#[test]
fn a_pod_that_hangs_tells_why_by_its_events() {
    for (warning, reason) in [
        ("FailedMount: MountVolume.SetUp failed for volume \"tls\": secret \"assistant-tls\" not found", "MountFailed"),
        (
            "FailedAttachVolume: Multi-Attach error for volume \"pvc-1\" Volume is already exclusively attached",
            "VolumeNotShared",
        ),
        ("FailedCreatePodSandBox: no addresses left", "Pending"),
    ] {
        let mut world = World::assistant()
            .deployed([1, 1, 0])
            .with_pod(pod(&container("restartCount: 0, state: {waiting: {reason: ContainerCreating}}")));
        world.observed.pods[0].warning = Some(warning.to_owned());
        let told = world.report();
        assert_eq!((told.of("Ready"), told.health(1)), (format!("False/{reason}"), "InProgress"), "{warning}");
        assert!(told.message("Ready").contains(warning.split_once(": ").unwrap().1), "{}", told.message("Ready"));
    }
}

#[test]
fn a_node_that_gives_a_pod_up() {
    let evicted = "{phase: Failed, reason: Evicted, message: 'The node was low on resource: memory.'}";
    let told = World::assistant()
        .deployed([1, 1, 0])
        .with_pod(pod_named("assistant-1", evicted))
        .with_pod(pod(LOADING))
        .report();
    assert_eq!(told.of("Ready"), "False/Evicted");
    assert!(
        told.message("Ready").contains("low on resource: memory); another one follows"),
        "{}",
        told.message("Ready")
    );
    let admission =
        "{phase: Failed, reason: UnexpectedAdmissionError, message: 'no healthy devices for nvidia.com/gpu'}";
    assert_eq!(with_pod(admission).of("Ready"), "False/DeviceUnavailable");
    let mut world = serving();
    world.observed.pods.push(pod_named("assistant-1", evicted));
    assert_eq!(world.report().of("Ready"), "True/Serving", "what is left of an evicted pod bothers nobody");
}

#[test]
fn a_pod_that_loads_says_how_far() {
    assert_eq!(with_pod(LOADING).of("Ready"), "False/Loading");
    let mut world = World::assistant().deployed([1, 1, 0]).with_pod(pod(LOADING));
    let says = |reason: &str, message: &str| {
        told(ServeStatus {
            ready: false,
            reason: reason.to_owned(),
            message: message.to_owned(),
            ..ServeStatus::default()
        })
    };
    world.observed.pods[0].report = says("Loading", "hashing the weights");
    let loading = world.report();
    assert_eq!(loading.of("Ready"), "False/Loading");
    assert!(loading.message("Ready").ends_with("hashing the weights"));
    world.observed.pods[0].report = says("DigestMismatch", "found a, expected b");
    assert_eq!(world.report().of("Stalled"), "True/DigestMismatch");
}

#[test]
fn a_ready_pod_that_falls_silent() {
    let status = container("restartCount: 0, started: true, state: {running: {}}");
    let told = with_pod(&status);
    assert_eq!((told.of("Ready"), told.health(1)), ("False/Unresponsive".to_owned(), "InProgress"));
}

#[test]
fn a_deadline_makes_waiting_a_failure() {
    let overdue = |pod_status: &str| {
        World::assistant()
            .deployed([1, 1, 0])
            .deployment_says("Progressing", "False", "ProgressDeadlineExceeded", "")
            .with_pod(pod(pod_status))
            .report()
    };
    let told = overdue(LOADING);
    assert_eq!(
        (told.of("Stalled"), told.of("Rolledout")),
        ("True/ProgressDeadlineExceeded".to_owned(), "False/ProgressDeadlineExceeded".to_owned())
    );
    assert!(told.message("Ready").contains("1800 s"), "{}", told.message("Ready"));
    let told = overdue(&container("restartCount: 0, state: {waiting: {reason: ImagePullBackOff, message: m}}"));
    assert_eq!(told.of("Stalled"), "True/ImagePullFailed", "the cause, not the clock");
}

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
