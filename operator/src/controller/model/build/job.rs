//! The Job that fetches or verifies: one pod, no second try of its own, no token, no shell, no right. Pure.

use std::collections::BTreeMap;

use alcazar_contract::{PROBE_PORT, PROBE_PORT_NAME, labels, paths};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Capabilities, Container, ContainerPort, LocalObjectReference, PersistentVolumeClaimVolumeSource,
            PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile, SecurityContext,
            Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::{
    super::validate::{SourceSecret, ValidatedModel, Work, claim_name, job_name},
    Site, keys,
};
use crate::children::ATTEMPT;

/// High, so that it is nobody on the node; the serving pods read with the same group.
const USER: i64 = 65_532;
const WEIGHTS_VOLUME: &str = "weights";
const CREDENTIALS_VOLUME: &str = "credentials";

pub(super) fn build_job(valid: &ValidatedModel, attempt: &str, site: Site<'_>) -> Job {
    let mut metadata = super::metadata(valid, &job_name(&valid.owner.name, &valid.id));
    metadata.annotations = Some(BTreeMap::from([(ATTEMPT.to_owned(), attempt.to_owned())]));
    let labels = valid.owner.labels(labels::COMPONENT_FETCH);
    Job {
        metadata,
        spec: Some(JobSpec {
            // The operator retries, with a firewall that is up to date.
            backoff_limit: Some(0),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(pod(valid, site)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn pod(valid: &ValidatedModel, site: Site<'_>) -> PodSpec {
    let pull = site.settings.image_pull_secret_names.iter().map(|name| LocalObjectReference { name: name.clone() });
    let pull: Vec<LocalObjectReference> = pull.collect();
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        service_account_name: Some(super::fetch_name(&valid.owner.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: (!pull.is_empty()).then_some(pull),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(valid, site)],
        volumes: Some(volumes(valid)),
        termination_grace_period_seconds: Some(10),
        ..PodSpec::default()
    }
}

fn container(valid: &ValidatedModel, site: Site<'_>) -> Container {
    Container {
        name: labels::COMPONENT_FETCH.to_owned(),
        image: Some(site.settings.runtime_image.clone()),
        image_pull_policy: Some(site.settings.image_pull_policy.as_str().to_owned()),
        args: Some(arguments(valid, site)),
        ports: Some(vec![ContainerPort {
            name: Some(PROBE_PORT_NAME.to_owned()),
            container_port: i32::from(PROBE_PORT),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: Some(resources(valid.protection.encryption.is_some())),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        termination_message_path: Some(paths::TERMINATION_LOG.to_owned()),
        // A container that dies without its last word: the end of its log is better than nothing.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts(valid)),
        ..Container::default()
    }
}

fn arguments(valid: &ValidatedModel, site: Site<'_>) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut flag = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
    match &valid.work {
        Work::Fetch { source, hosts, secret, .. } => {
            flag("fetch", "--source");
            // Serialising plain strings cannot fail.
            flag(&serde_json::to_string(source).unwrap_or_default(), "--into");
            flag(paths::WEIGHTS, "--termination-log");
            flag(paths::TERMINATION_LOG, "--probe-listen");
            arguments.push(format!("0.0.0.0:{PROBE_PORT}"));
            if secret.is_some() {
                arguments.extend(["--credentials-dir".to_owned(), paths::CREDENTIALS.to_owned()]);
            }
            // All allowed hosts, not only the source's own: a mirror may redirect to another one.
            let allowed = hosts.iter().any(|host| host.allowed).then_some(&site.settings.allowed_hosts);
            for host in allowed.into_iter().flatten() {
                arguments.extend(["--allow-host".to_owned(), host.clone()]);
            }
        }
        Work::Verify { path, .. } => {
            let model = if path.is_empty() { paths::WEIGHTS.to_owned() } else { format!("{}/{path}", paths::WEIGHTS) };
            flag("verify", "--model");
            flag(&model, "--termination-log");
            arguments.push(paths::TERMINATION_LOG.to_owned());
        }
    }
    if let Some(digest) = &valid.expected_digest {
        arguments.extend(["--expect-digest".to_owned(), digest.clone()]);
    }
    arguments.extend(keys::arguments(&valid.protection));
    arguments
}

/// Enough for parallel ranges and hashing; the page cache that writing fills is not counted against it. A Job with a key
/// asks for all memory that it may use: such containers get no swap from Kubernetes.
fn resources(has_key: bool) -> ResourceRequirements {
    let of = |cpu: &str, memory: &str, disk: &str| {
        let entries = [("cpu", cpu), ("memory", memory), ("ephemeral-storage", disk)];
        entries.into_iter().map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))).collect()
    };
    ResourceRequirements {
        requests: Some(of("100m", if has_key { "512Mi" } else { "128Mi" }, "16Mi")),
        limits: Some(of("2", "512Mi", "64Mi")),
        ..ResourceRequirements::default()
    }
}

fn secret(valid: &ValidatedModel) -> Option<&SourceSecret> {
    match &valid.work {
        Work::Fetch { secret, .. } => secret.as_ref(),
        Work::Verify { .. } => None,
    }
}

fn volumes(valid: &ValidatedModel) -> Vec<Volume> {
    let (claim_name, read_only) = match &valid.work {
        Work::Fetch { .. } => (claim_name(&valid.owner.name), None),
        Work::Verify { claim_name, .. } => (claim_name.clone(), Some(true)),
    };
    let weights = Volume {
        name: WEIGHTS_VOLUME.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name, read_only }),
        ..Volume::default()
    };
    let credentials = secret(valid).map(|secret| keys::secret_volume(CREDENTIALS_VOLUME, &secret.name));
    std::iter::once(weights).chain(credentials).chain(keys::volumes(&valid.protection)).collect()
}

fn mounts(valid: &ValidatedModel) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let verifies = matches!(valid.work, Work::Verify { .. });
    let weights = mount(WEIGHTS_VOLUME, paths::WEIGHTS, verifies);
    let credentials = secret(valid).map(|_| mount(CREDENTIALS_VOLUME, paths::CREDENTIALS, true));
    let keys = keys::mounts(&valid.protection).map(|(name, path)| mount(name, path, true));
    std::iter::once(weights).chain(credentials).chain(keys).collect()
}
