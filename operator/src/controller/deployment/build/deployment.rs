//! The pods that serve: what they run, what they get, how they come and go. Pure.

use std::collections::BTreeMap;

use alcazar_contract::labels;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{PodSpec, PodTemplateSpec, TopologySpreadConstraint},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::{
    MODEL_CLAIM, MODEL_DIGEST, MODEL_KEY, MODEL_PATH, MODEL_SIZE, Serving, Tls, ValidatedDeployment, container,
    metadata, volumes,
};
use crate::controller::deployment::validate::Strategy;

/// Old ReplicaSets to keep: a rollback is a change of the spec here, so they are only for people who look.
const REVISIONS_KEPT: i32 = 2;
/// Seconds between the pod's removal from the Services and its SIGTERM: proxies need that long to hear of it.
pub(super) const PRE_STOP_SECONDS: i32 = 5;
/// Seconds on top of drain and preStop before a pod is killed.
const GRACE_MARGIN_SECONDS: i32 = 10;
/// Hex digits of the certificate's fingerprint on the template.
const SECRETS_HASH_LENGTH: usize = 16;

pub(super) fn build_deployment(valid: &ValidatedDeployment, serving: &Serving, tls: &Tls) -> Deployment {
    let mut meta = metadata(valid, &valid.owner.name);
    meta.annotations = Some(record(serving));
    Deployment {
        metadata: meta,
        spec: Some(DeploymentSpec {
            replicas: Some(valid.replicas),
            selector: LabelSelector {
                match_labels: Some(valid.owner.selector(labels::COMPONENT_SERVE)),
                ..LabelSelector::default()
            },
            strategy: Some(strategy(valid.strategy)),
            progress_deadline_seconds: Some(valid.progress_deadline_seconds),
            revision_history_limit: Some(REVISIONS_KEPT),
            template: template(valid, serving, tls),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// What the pods serve, so that it can go on when the model object no longer tells.
fn record(serving: &Serving) -> BTreeMap<String, String> {
    let mut record = BTreeMap::from([
        (MODEL_DIGEST.to_owned(), serving.digest.clone()),
        (MODEL_CLAIM.to_owned(), serving.claim_name.clone()),
        (MODEL_PATH.to_owned(), serving.path.clone()),
        (MODEL_SIZE.to_owned(), serving.size_bytes.to_string()),
    ]);
    record.extend(serving.key_secret_name.clone().map(|name| (MODEL_KEY.to_owned(), name)));
    record
}

/// With GPUs there is no room for a pod more; without, nobody should notice a rollout.
fn strategy(strategy: Strategy) -> DeploymentStrategy {
    let (surge, unavailable) = match strategy {
        Strategy::Surge => (1, 0),
        Strategy::Drain => (0, 1),
    };
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(unavailable)),
        }),
    }
}

fn template(valid: &ValidatedDeployment, serving: &Serving, tls: &Tls) -> PodTemplateSpec {
    let mut template_labels = valid.pod.labels.clone();
    template_labels.extend(valid.owner.labels(labels::COMPONENT_SERVE));
    let mut annotations = valid.pod.annotations.clone();
    let secrets_hash: String = tls.fingerprint.chars().take(SECRETS_HASH_LENGTH).collect();
    annotations.extend([
        (labels::SECRETS_HASH.to_owned(), secrets_hash),
        (MODEL_DIGEST.to_owned(), serving.digest.clone()),
        (MODEL_CLAIM.to_owned(), serving.claim_name.clone()),
    ]);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(template_labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(valid, serving)),
    }
}

fn pod(valid: &ValidatedDeployment, serving: &Serving) -> PodSpec {
    PodSpec {
        service_account_name: Some(valid.owner.name.clone()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(container::pod_security_context()),
        containers: vec![container::build_container(valid, serving)],
        volumes: Some(volumes::build_volumes(valid, serving)),
        image_pull_secrets: Some(valid.image_pull_secrets()),
        termination_grace_period_seconds: Some(i64::from(
            PRE_STOP_SECONDS + valid.drain_seconds + GRACE_MARGIN_SECONDS,
        )),
        node_selector: Some(valid.pod.node_selector.clone()),
        tolerations: Some(valid.pod.tolerations.clone()),
        priority_class_name: valid.pod.priority_class_name.clone(),
        runtime_class_name: valid.pod.runtime_class_name.clone(),
        topology_spread_constraints: Some(spread(valid)),
        ..PodSpec::default()
    }
}

/// The user says over what; which pods count is ours: those of the same revision, so that a rollout does not skew.
fn spread(valid: &ValidatedDeployment) -> Vec<TopologySpreadConstraint> {
    let selector =
        LabelSelector { match_labels: Some(valid.owner.selector(labels::COMPONENT_SERVE)), ..LabelSelector::default() };
    let constraints = valid.pod.topology_spread_constraints.iter().cloned();
    constraints
        .map(|constraint| TopologySpreadConstraint {
            label_selector: Some(selector.clone()),
            match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
            ..constraint
        })
        .collect()
}
