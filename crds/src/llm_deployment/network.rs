//! `spec.network`: the firewall around the pods.

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Who may reach the pods. The pods themselves reach nobody, whatever stands here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// `Required`: a pod opens the weights only after it has proven that it can reach nothing, and stops serving if
    /// that changes. `BestEffort`: the policies are written and the finding is reported, but the pod serves also on a
    /// cluster whose network does not enforce policies.
    #[serde(default)]
    pub isolation: IsolationMode,
    /// Who may call the model, at most 32 peers, each as in a NetworkPolicy: pods by `podSelector` and
    /// `namespaceSelector`, or addresses by `ipBlock`. Default: all pods of this namespace.
    /// Example: `[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: chat}}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::peers")]
    pub allow_from: Vec<NetworkPolicyPeer>,
    /// Who may read the metrics, at most 32 peers, besides those of the operator's settings. Default: nobody else.
    /// Example: `[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::peers")]
    pub metrics_from: Vec<NetworkPolicyPeer>,
}

/// How strictly isolation is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum IsolationMode {
    /// No proof, no service.
    #[default]
    Required,
    /// Reported, not held.
    BestEffort,
}

impl IsolationMode {
    /// As the CRD and the runtime's `--isolation` write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "Required",
            Self::BestEffort => "BestEffort",
        }
    }
}
