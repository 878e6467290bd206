//! `spec.podTemplate`: the narrow part of a pod that users may set.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Extras for the pods. There is no security context, service account, volume or host access here, by design.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels to add, at most 32. Keys under `alcazar.dev/` and `app.kubernetes.io/` belong to the operator.
    /// Example: `{cost-center: research}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod_labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations to add, at most 32. Keys under `alcazar.dev/` belong to the operator; keys that attach further
    /// networks to a pod, since no NetworkPolicy holds there, or change its confinement are refused.
    /// Example: `{cluster-autoscaler.kubernetes.io/safe-to-evict: "false"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod_annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Name of a PriorityClass. Default: the cluster's default. Example: `interactive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub priority_class_name: Option<String>,
    /// How pods are spread over zones or nodes, at most 8 constraints. The operator adds the selector of the pods.
    /// Default: none. Example: `[{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::topology_spread_constraints")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Name of a RuntimeClass, for example of a sandbox. Default: the cluster's default. Example: `gvisor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub runtime_class_name: Option<String>,
}
