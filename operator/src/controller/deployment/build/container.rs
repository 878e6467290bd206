//! The one container of a model pod: image, arguments, limits, probes, and everything that locks it down. Pure.

use std::collections::BTreeMap;

use alcazar_contract::{MODEL_PORT, MODEL_PORT_NAME, PROBE_PORT, PROBE_PORT_NAME, paths, routes};
use alcazar_crds::llm_deployment::AccessMode;
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Lifecycle, LifecycleHandler,
        ObjectFieldSelector, PodSecurityContext, Probe, ResourceRequirements, SeccompProfile, SecurityContext,
        SleepAction,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

use super::{Serving, ValidatedDeployment, deployment::PRE_STOP_SECONDS, volumes};

/// Name of the container.
pub(crate) const CONTAINER: &str = "runtime";
/// Addresses of the pod's node, of every family, with commas between them.
const NODE_ADDRESSES: &str = "NODE_ADDRESSES";
/// User and group of the pods: no account of any image or node.
const NOBODY: i64 = 65_532;
const MIB: u64 = 1024 * 1024;
/// Memory is rounded up to a multiple of this, so that a few bytes more of a model do not roll the pods.
const MEMORY_STEP_MIB: u64 = 64;
/// Memory for everything but weights and cache.
const MEMORY_BASE_MIB: u64 = 512;
/// What a pod may write to its log and nowhere else.
const LOG_SPACE: (&str, &str) = ("32Mi", "256Mi");
/// Seconds that any model may take to start. A pod that waits for its network to be isolated is not restarted sooner,
/// and the kubelet's backoff is forgotten by then.
const START_SECONDS: u64 = 900;
/// Bytes a second of the slowest volume on which a start still succeeds: hashed once, read once.
const SLOWEST_READ: u64 = 5_000_000;
/// Models up to this size are asked every second whether they have started, larger ones every five.
const QUICK_START_BYTES: u64 = 4 * 1024 * MIB;

pub(super) fn build_container(valid: &ValidatedDeployment, serving: &Serving) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(valid.image.clone()),
        image_pull_policy: Some(valid.image_pull_policy.as_str().to_owned()),
        args: Some(arguments(valid, serving)),
        env: Some(vec![node_addresses()]),
        ports: Some(vec![port(MODEL_PORT_NAME, MODEL_PORT), port(PROBE_PORT_NAME, PROBE_PORT)]),
        resources: Some(resources(valid, serving)),
        volume_mounts: Some(volumes::build_mounts(serving)),
        startup_probe: Some(startup_probe(serving.size_bytes)),
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            timeout_seconds: Some(3),
            failure_threshold: Some(2),
            ..get(routes::READY)
        }),
        // The process is alive whatever its load: only a hang of a minute ends it.
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            timeout_seconds: Some(10),
            failure_threshold: Some(6),
            ..get(routes::LIVE)
        }),
        // No shell in the image, so the kubelet sleeps.
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: i64::from(PRE_STOP_SECONDS) }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        security_context: Some(security_context()),
        // Without a last word of its own, the end of the log explains a crash.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// As `alcazar-runtime serve` parses them.
pub(crate) fn arguments(valid: &ValidatedDeployment, serving: &Serving) -> Vec<String> {
    let model = if serving.path.is_empty() {
        paths::WEIGHTS.to_owned()
    } else {
        format!("{}/{}", paths::WEIGHTS, serving.path)
    };
    let mut args = vec!["serve".to_owned()];
    let mut flag = |name: &str, value: String| args.extend([format!("--{name}"), value]);
    flag("model", model);
    flag("digest", serving.digest.clone());
    flag("name", valid.owner.name.clone());
    flag("tls-dir", paths::TLS.to_owned());
    if serving.key_secret_name.is_some() {
        flag("encryption-key-dir", paths::ENCRYPTION.to_owned());
    }
    if valid.door.mode == AccessMode::Gateway {
        flag("clients", "Gateway".to_owned());
    }
    if let Some(tokens) = valid.context_length {
        flag("context-length", tokens.to_string());
    }
    if let Some(sequences) = valid.max_sequences {
        flag("max-sequences", sequences.to_string());
    }
    flag("drain-seconds", valid.drain_seconds.to_string());
    flag("isolation", valid.isolation.as_str().to_owned());
    for target in &valid.isolation_targets.named {
        flag("isolation-target", target.to_string());
    }
    flag("isolation-node", format!("$({NODE_ADDRESSES})"));
    for (kind, port) in &valid.isolation_targets.node_ports {
        flag("isolation-node-port", format!("{}={port}", kind.as_str()));
    }
    args.push("--isolation-resolvers".to_owned());
    args
}

/// The one thing that comes by environment: Kubernetes puts it into an argument, and has no other way to tell it.
fn node_addresses() -> EnvVar {
    let field = ObjectFieldSelector { field_path: "status.hostIPs".to_owned(), ..ObjectFieldSelector::default() };
    EnvVar {
        name: NODE_ADDRESSES.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    }
}

/// Requests are the limits: a pod gets what it was promised, and its neighbours too.
fn resources(valid: &ValidatedDeployment, serving: &Serving) -> ResourceRequirements {
    let memory = valid.memory.clone().unwrap_or_else(|| memory_for(serving.size_bytes));
    let mut requests = BTreeMap::from([("cpu".to_owned(), valid.cpu.clone()), ("memory".to_owned(), memory)]);
    if let Some(gpus) = &valid.gpus {
        requests.insert(gpus.resource_name.clone(), Quantity(gpus.count.to_string()));
    }
    let mut limits = requests.clone();
    requests.insert("ephemeral-storage".to_owned(), Quantity(LOG_SPACE.0.to_owned()));
    limits.insert("ephemeral-storage".to_owned(), Quantity(LOG_SPACE.1.to_owned()));
    ResourceRequirements { requests: Some(requests), limits: Some(limits), ..ResourceRequirements::default() }
}

/// Weights, as much again for the context of running requests, and the program.
pub(crate) fn memory_for(size_bytes: u64) -> Quantity {
    let mib = (size_bytes.saturating_mul(2)).div_ceil(MIB).saturating_add(MEMORY_BASE_MIB);
    Quantity(format!("{}Mi", mib.div_ceil(MEMORY_STEP_MIB).saturating_mul(MEMORY_STEP_MIB)))
}

/// Long enough to hash and load the model from a slow volume.
pub(super) fn startup_probe(size_bytes: u64) -> Probe {
    let seconds = START_SECONDS + size_bytes.saturating_mul(2) / SLOWEST_READ;
    let period = if size_bytes <= QUICK_START_BYTES { 1 } else { 5 };
    Probe {
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        failure_threshold: Some(i32::try_from(seconds / u64::from(period.unsigned_abs())).unwrap_or(i32::MAX)),
        ..get(routes::READY)
    }
}

fn get(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(PROBE_PORT_NAME.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

pub(super) fn pod_security_context() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(NOBODY),
        run_as_group: Some(NOBODY),
        fs_group: Some(NOBODY),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(seccomp()),
        ..PodSecurityContext::default()
    }
}

/// Repeated on the container, so that a change of the pod's context by somebody else opens nothing.
fn security_context() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        run_as_user: Some(NOBODY),
        run_as_group: Some(NOBODY),
        seccomp_profile: Some(seccomp()),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: Some(Vec::new()) }),
        ..SecurityContext::default()
    }
}

fn seccomp() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }
}
