//! `LlmDeployment`: a served model.

mod access;
mod network;
mod pod_template;
mod privacy;
mod resources;
mod rollout;
mod status;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    access::{Access, AccessMode},
    network::{IsolationMode, Network},
    pod_template::PodTemplate,
    privacy::{Privacy, PromptLogging},
    resources::{DEFAULT_GPU_RESOURCE, Resources, RuntimeOptions},
    rollout::{Rollout, RolloutStrategy},
    status::{Acceleration, LlmDeploymentStatus, Performance},
};
use crate::{
    llm_model::LlmModelSpec,
    schema::{self, Rule, is_default, rules},
};

/// What is served, on what, for whom.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "alcazar.dev",
    version = "v1alpha1",
    kind = "LlmDeployment",
    plural = "llmdeployments",
    singular = "llmdeployment",
    shortname = "llmd",
    category = "alcazar",
    namespaced,
    status = "LlmDeploymentStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A language model served privately: pods without egress behind an OpenAI-compatible HTTPS endpoint.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    selectable = ".spec.modelName",
    selectable = ".spec.state",
    validation = (schema::NAME_RULE, schema::NAME_MESSAGE),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"True while the model answers as asked for."}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why it is ready or not; the sentence is in the condition's message."}"#,
    printcolumn = r#"{"name":"Model","type":"string","jsonPath":".status.modelName","description":"The LlmModel that is served."}"#,
    printcolumn = r#"{"name":"Replicas","type":"integer","jsonPath":".status.replicas","description":"Pods that exist."}"#,
    printcolumn = r#"{"name":"Device","type":"string","jsonPath":".status.acceleration.device","description":"What the pods compute on."}"#,
    printcolumn = r#"{"name":"Serving","type":"integer","priority":1,"jsonPath":".status.readyReplicas","description":"Pods that answer now."}"#,
    printcolumn = r#"{"name":"Endpoint","type":"string","priority":1,"jsonPath":".status.endpoint","description":"Base URL of the OpenAI-compatible API."}"#,
    printcolumn = r#"{"name":"Digest","type":"string","priority":1,"jsonPath":".status.modelDigest","description":"Manifest digest of the weights that serve."}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&SPEC_RULES)))]
pub struct LlmDeploymentSpec {
    /// The weights, described in place. The operator makes an LlmModel of the same name of it and owns it.
    /// Exactly one of `model` and `modelName` must be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<LlmModelSpec>,
    /// Name of an LlmModel in this namespace. Several deployments may serve one model from one volume.
    /// Exactly one of `model` and `modelName` must be set. Example: `smollm2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::model_name")]
    pub model_name: Option<String>,
    /// Number of model pods, 0 to 1000. The operator never writes it, so an autoscaler or `kubectl scale` may own it.
    /// Default: 1 while it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::replicas")]
    pub replicas: Option<i32>,
    /// What each pod gets and where it runs. Default: no GPU, the operator's setting for `cpu`, and memory derived from
    /// the size of the model.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resources: Resources,
    /// How the runtime serves the model. Default: as the model and the pod's memory allow.
    #[serde(default, skip_serializing_if = "is_default")]
    pub runtime: RuntimeOptions,
    /// Who answers for the model: the gateway with its keys and quotas, or the pods themselves.
    #[serde(default)]
    pub access: Access,
    /// What may be kept of what people write. Default: nothing.
    #[serde(default)]
    pub privacy: Privacy,
    /// Who may reach the pods, and how strictly isolation is held.
    #[serde(default)]
    pub network: Network,
    /// How a change reaches the pods.
    #[serde(default)]
    pub rollout: Rollout,
    /// `Active` serves; `Suspended` removes the pods and keeps the weights, the endpoint and everything else.
    #[serde(default)]
    pub state: DesiredState,
    /// Extras for the pods. It cannot loosen what protects them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pod_template: PodTemplate,
}

const SPEC_RULES: [Rule; 2] = [
    Rule {
        rule: "has(self.model) != has(self.modelName)",
        message: "must set exactly one of model (weights described here) and modelName (an LlmModel of this namespace)",
    },
    Rule {
        rule: "!has(self.network) || !has(self.network.allowFrom) || self.network.allowFrom.size() == 0 || \
               (has(self.access) && has(self.access.mode) && self.access.mode == 'Direct')",
        message: "must set access.mode: Direct with network.allowFrom: otherwise only the gateway reaches the pods",
    },
];

/// Whether a deployment has pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DesiredState {
    /// It serves.
    #[default]
    Active,
    /// No pods; everything else stays.
    Suspended,
}
