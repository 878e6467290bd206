//! `LlmDeployment.status`: what the operator has observed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What is known of the pods. Written by the operator only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LlmDeploymentStatus {
    /// `metadata.generation` that this status describes; -1 until the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::observed_generation")]
    pub observed_generation: Option<i64>,
    /// `Ready` sums up. `Reconciling` and `Stalled` are there only while true. `Accepted`, `ModelReady`, `Scheduled`,
    /// `NetworkIsolated` and `Rolledout` say how far it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Pods that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count32")]
    pub replicas: Option<i32>,
    /// Pods that answer now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count32")]
    pub ready_replicas: Option<i32>,
    /// Label selector of the pods, as text, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sentence")]
    pub selector: Option<String>,
    /// Name of the LlmModel that is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub model_name: Option<String>,
    /// Manifest digest of the weights that serve, `sha256:` and 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest_observed")]
    pub model_digest: Option<String>,
    /// Base URL of the OpenAI-compatible API inside the cluster. Example: `https://alcazar-gateway.alcazar-system.svc/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sentence")]
    pub endpoint: Option<String>,
    /// What the pods compute on; absent until one has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceleration: Option<Acceleration>,
    /// What the pods measured after they had loaded; absent until one has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance: Option<Performance>,
}

/// What the pods compute on, as they report it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acceleration {
    /// `CPU`, or the name of the GPU.
    #[serde(default)]
    #[schemars(schema_with = "schema::device")]
    pub device: String,
    /// Layers of the model that run on that device.
    #[serde(default)]
    #[schemars(schema_with = "schema::count32")]
    pub layers_offloaded: i32,
    /// Layers of the model.
    #[serde(default)]
    #[schemars(schema_with = "schema::count32")]
    pub layers_total: i32,
}

/// What a pod measured right after it had loaded, on its own and with one sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Performance {
    /// Tokens of a prompt read per second.
    #[serde(default)]
    #[schemars(schema_with = "schema::count32")]
    pub prefill_tokens_per_second: i32,
    /// Tokens of an answer written per second.
    #[serde(default)]
    #[schemars(schema_with = "schema::count32")]
    pub decode_tokens_per_second: i32,
    /// Seconds from the start of the process until it could serve, rounded up.
    #[serde(default)]
    #[schemars(schema_with = "schema::count32")]
    pub load_seconds: i32,
}
