//! From a spec that the API server took to one that Kubernetes has no reason to refuse. Pure.
//!
//! The schema has bounds and rules for nearly all of it; what depends on the operator's settings, or could loosen what
//! protects the pods, is judged here again, since an older schema may have let it through.

use std::collections::BTreeMap;

use alcazar_contract::labels;
use alcazar_crds::{
    llm_deployment::{
        DEFAULT_GPU_RESOURCE, DesiredState, IsolationMode, LlmDeployment, LlmDeploymentSpec, PodTemplate, Privacy,
        PromptLogging, Resources, RolloutStrategy,
    },
    llm_model::LlmModelSpec,
};
use k8s_openapi::{
    api::{
        core::v1::{LocalObjectReference, Toleration, TopologySpreadConstraint},
        networking::v1::NetworkPolicyPeer,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::observe::{Observed, targets::Targets};
use crate::{
    children::{Owner, OwnerKind},
    compare::quantity,
    settings::{ImagePullPolicy, Settings},
};

mod door;
mod error;
#[cfg(test)]
mod tests;

pub(crate) use self::{door::Door, error::Error};

/// What a deployment is judged by besides its own spec.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// The operator's settings.
    pub(crate) settings: &'a Settings,
    /// What no model pod may reach.
    pub(crate) isolation_targets: &'a Targets,
    /// Namespace of the operator, which asks the pods for their status.
    pub(crate) operator_namespace: &'a str,
}

/// A deployment of which everything that `build` makes is acceptable to Kubernetes.
#[derive(Clone, Debug)]
pub(crate) struct ValidatedDeployment {
    /// Name, namespace and identity, for the children.
    pub(crate) owner: Owner,
    /// Where the weights come from.
    pub(crate) model: ModelRef,
    /// On purpose without pods.
    pub(crate) suspended: bool,
    /// Pods wanted; 0 while suspended.
    pub(crate) replicas: i32,
    /// Which pod goes first in a rollout.
    pub(crate) strategy: Strategy,
    /// Seconds until a rollout counts as failed.
    pub(crate) progress_deadline_seconds: i32,
    /// Seconds for running answers.
    pub(crate) drain_seconds: i32,
    /// Image of the runtime, for CPU or GPU.
    pub(crate) image: String,
    pub(crate) image_pull_policy: ImagePullPolicy,
    image_pull_secret_names: Vec<String>,
    pub(crate) cpu: Quantity,
    /// None: by the size of the model.
    pub(crate) memory: Option<Quantity>,
    pub(crate) gpus: Option<Gpus>,
    pub(crate) pod: PodExtras,
    pub(crate) context_length: Option<u32>,
    pub(crate) max_sequences: Option<u32>,
    pub(crate) isolation: IsolationMode,
    pub(crate) isolation_targets: Targets,
    /// Who may call the model.
    pub(crate) door: Door,
    /// Days for which prompts and answers may be kept; none: they may not.
    pub(crate) prompt_logging_days: Option<i32>,
    /// Who may read metrics.
    pub(crate) metrics_from: Vec<NetworkPolicyPeer>,
    /// The operator's own pods.
    pub(crate) operator_peer: NetworkPolicyPeer,
}

/// Where the weights come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ModelRef {
    /// An own LlmModel of the deployment's name.
    Inline(Box<LlmModelSpec>),
    /// One that somebody else made.
    Named(String),
}

/// Resolved: no `Auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// New before old.
    Surge,
    /// Old before new.
    Drain,
}

/// GPUs of each pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gpus {
    pub(crate) resource_name: String,
    pub(crate) count: i32,
}

/// What the user adds to the pods.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodExtras {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) priority_class_name: Option<String>,
    pub(crate) runtime_class_name: Option<String>,
    pub(crate) topology_spread_constraints: Vec<TopologySpreadConstraint>,
}

impl ValidatedDeployment {
    /// Name of the LlmModel.
    pub(crate) fn model_name(&self) -> &str {
        match &self.model {
            ModelRef::Inline(_) => &self.owner.name,
            ModelRef::Named(name) => name,
        }
    }

    pub(crate) fn image_pull_secrets(&self) -> Vec<LocalObjectReference> {
        self.image_pull_secret_names.iter().map(|name| LocalObjectReference { name: name.clone() }).collect()
    }
}

/// Annotations that attach networks past the policies, or take back what the security context gives.
const FORBIDDEN_ANNOTATIONS: [&str; 6] = [
    "k8s.v1.cni.cncf.io/",
    "v1.multus-cni.io/",
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
    "alcazar.dev/",
];

/// Parses a spec into what can be built.
pub(crate) fn validate(
    object: &LlmDeployment,
    observed: &Observed,
    site: Site<'_>,
) -> Result<ValidatedDeployment, Error> {
    let Site { settings, isolation_targets, operator_namespace } = site;
    let spec = &object.spec;
    let owner = Owner::of(OwnerKind::Deployment, object, &settings.propagated_labels).ok_or(Error::NoIdentity)?;
    let gpus = gpus(&spec.resources)?;
    let suspended = spec.state == DesiredState::Suspended;
    let replicas = in_range("spec.replicas", spec.replicas.unwrap_or(1), 0, 1000, "0 to 1000")?;
    if spec.network.isolation == IsolationMode::Required && isolation_targets.named.is_empty() {
        return Err(Error::NothingToProve);
    }
    Ok(ValidatedDeployment {
        model: model(spec, &owner.name, observed)?,
        suspended,
        replicas: if suspended { 0 } else { replicas },
        strategy: strategy(spec.rollout.strategy, gpus.is_some()),
        progress_deadline_seconds: in_range(
            "spec.rollout.progressDeadlineSeconds",
            spec.rollout.progress_deadline_seconds,
            60,
            86_400,
            "60 to 86400",
        )?,
        drain_seconds: in_range("spec.rollout.drainSeconds", spec.rollout.drain_seconds, 0, 3600, "0 to 3600")?,
        image: image(settings, gpus.as_ref())?,
        image_pull_policy: settings.image_pull_policy,
        image_pull_secret_names: settings.image_pull_secret_names.clone(),
        cpu: positive("spec.resources.cpu", spec.resources.cpu.as_ref().unwrap_or(&settings.defaults.cpu), "2")?,
        memory: spec.resources.memory.as_ref().map(|m| positive("spec.resources.memory", m, "8Gi")).transpose()?,
        gpus,
        pod: pod_extras(&spec.pod_template, &spec.resources)?,
        context_length: count("spec.runtime.contextLength", spec.runtime.context_length)?,
        max_sequences: count("spec.runtime.maxSequences", spec.runtime.max_sequences)?,
        isolation: spec.network.isolation,
        isolation_targets: isolation_targets.clone(),
        door: door::door(spec, settings, (&owner.name, &owner.namespace), operator_namespace)?,
        prompt_logging_days: prompt_logging_days(&spec.privacy)?,
        metrics_from: spec.network.metrics_from.iter().chain(&settings.metrics_from).cloned().collect(),
        operator_peer: door::pods_of(operator_namespace, labels::APP_NAME_OPERATOR),
        owner,
    })
}

fn model(spec: &LlmDeploymentSpec, own_name: &str, observed: &Observed) -> Result<ModelRef, Error> {
    match (&spec.model, &spec.model_name) {
        (Some(model), None) => Ok(ModelRef::Inline(Box::new(model.clone()))),
        (None, Some(name)) if name == own_name && observed.own_model.is_some() => {
            Err(Error::OwnName { name: name.clone() })
        }
        (None, Some(name)) => Ok(ModelRef::Named(name.clone())),
        (Some(_), Some(_)) | (None, None) => Err(Error::ModelChoice),
    }
}

fn gpus(resources: &Resources) -> Result<Option<Gpus>, Error> {
    let count = in_range("spec.resources.gpus", resources.gpus.unwrap_or(0), 0, 64, "0 to 64")?;
    let resource_name = resources.gpu_resource_name.clone().unwrap_or_else(|| DEFAULT_GPU_RESOURCE.to_owned());
    Ok((count > 0).then_some(Gpus { resource_name, count }))
}

fn image(settings: &Settings, gpus: Option<&Gpus>) -> Result<String, Error> {
    match gpus {
        None => Ok(settings.runtime_image.clone()),
        Some(gpus) if settings.runtime_cuda_image.is_empty() => Err(Error::NoGpuImage { count: gpus.count }),
        Some(_) => Ok(settings.runtime_cuda_image.clone()),
    }
}

fn strategy(wish: RolloutStrategy, on_gpu: bool) -> Strategy {
    match (wish, on_gpu) {
        (RolloutStrategy::Surge, _) | (RolloutStrategy::Auto, false) => Strategy::Surge,
        (RolloutStrategy::Drain, _) | (RolloutStrategy::Auto, true) => Strategy::Drain,
    }
}

fn pod_extras(template: &PodTemplate, resources: &Resources) -> Result<PodExtras, Error> {
    let forbidden = |key: &&String| FORBIDDEN_ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix));
    if let Some(key) = template.annotations.keys().find(forbidden) {
        return Err(Error::ForbiddenAnnotation { key: key.clone() });
    }
    Ok(PodExtras {
        labels: template.labels.clone(),
        annotations: template.annotations.clone(),
        node_selector: resources.node_selector.clone(),
        tolerations: resources.tolerations.clone(),
        priority_class_name: template.priority_class_name.clone(),
        runtime_class_name: template.runtime_class_name.clone(),
        topology_spread_constraints: template.topology_spread_constraints.clone(),
    })
}

fn prompt_logging_days(privacy: &Privacy) -> Result<Option<i32>, Error> {
    match (privacy.prompt_logging, privacy.retention_days) {
        (PromptLogging::Disabled, _) => Ok(None),
        (PromptLogging::Enabled, None) => Err(Error::NoRetention),
        (PromptLogging::Enabled, Some(days)) => {
            in_range("spec.privacy.retentionDays", days, 1, 90, "1 to 90").map(Some)
        }
    }
}

fn positive(field: &'static str, value: &Quantity, example: &'static str) -> Result<Quantity, Error> {
    match quantity::parse(&value.0) {
        Some(amount) if amount > quantity::ZERO => Ok(value.clone()),
        _ => Err(Error::InvalidQuantity { field, found: value.0.clone(), example }),
    }
}

fn in_range(field: &'static str, found: i32, min: i32, max: i32, expected: &'static str) -> Result<i32, Error> {
    if (min..=max).contains(&found) { Ok(found) } else { Err(Error::OutOfRange { field, found, expected }) }
}

fn count(field: &'static str, value: Option<i32>) -> Result<Option<u32>, Error> {
    let Some(found) = value else { return Ok(None) };
    match u32::try_from(found) {
        Ok(count) if count > 0 => Ok(Some(count)),
        _ => Err(Error::OutOfRange { field, found, expected: "1 or more" }),
    }
}
