//! Why pods do not serve: a case for each cause that a cluster shows.

use alcazar_contract::status::ServeStatus;

use super::serving;
use crate::controller::deployment::test_support::{LOADING, Told, World, pod, pod_named, told};

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
    let unheard = container("restartCount: 0, state: {running: {}}").replace("ready: false", "ready: true");
    let told = with_pod(&unheard);
    assert_eq!((told.of("Ready"), told.health(1)), ("False/Evicted".to_owned(), "InProgress"));
    assert!(told.message("Ready").starts_with("node node-1 does not report"), "{}", told.message("Ready"));
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
