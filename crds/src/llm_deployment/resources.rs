//! `spec.resources` and `spec.runtime`: what a pod gets and how the runtime uses it.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Toleration, apimachinery::pkg::api::resource::Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{self, Rule, rules};

/// Resource name of a GPU when `spec.resources.gpuResourceName` is not given.
pub const DEFAULT_GPU_RESOURCE: &str = "nvidia.com/gpu";

/// What each pod gets, and where it may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[Rule {
    rule: "!has(self.gpuResourceName) || (has(self.gpus) && self.gpus > 0)",
    message: "must set gpus to 1 or more with gpuResourceName",
}])))]
pub struct Resources {
    /// Number of GPUs for each pod, 0 to 64. Default: 0, the CPU serves. Example: `1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::gpus")]
    pub gpus: Option<i32>,
    /// Resource name under which the nodes offer their GPUs. Needs `gpus`. Default: `nvidia.com/gpu`.
    /// Example: `nvidia.com/mig-1g.10gb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_name")]
    pub gpu_resource_name: Option<String>,
    /// CPU of each pod, request and limit, 10m to 1024 cores. The runtime starts as many threads.
    /// Default: the operator's setting. Example: `"4"` or `2500m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::cpu_quantity")]
    pub cpu: Option<Quantity>,
    /// Memory of each pod, request and limit, 32Mi to 64Ti. It must hold the weights and the context of all running
    /// requests. Default: derived from the size of the model. Example: `16Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::memory_quantity")]
    pub memory: Option<Quantity>,
    /// Labels that a node must have. Default: any node. Example: `{gpu.example.com/class: l40s}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::label_map")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the pods put up with, at most 32. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub tolerations: Vec<Toleration>,
}

/// How the runtime serves the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeOptions {
    /// Longest prompt and answer together, in tokens, 16 to 16777216. At most what the model was made for. A longer
    /// context takes more memory for each sequence. Default: the model's own. Example: `8192`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::context_length")]
    pub context_length: Option<i32>,
    /// Requests that are computed at the same time, 1 to 1024; further ones wait their turn.
    /// Default: as many as the memory holds. Example: `16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::max_sequences")]
    pub max_sequences: Option<i32>,
}
