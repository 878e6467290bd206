//! One pod at a time when nodes are drained. Pure.

use alcazar_contract::labels;
use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{ValidatedDeployment, metadata};

/// None for a single replica: it could only block the drain of its node for ever.
pub(super) fn build_pdb(valid: &ValidatedDeployment) -> Option<PodDisruptionBudget> {
    (valid.replicas > 1).then(|| PodDisruptionBudget {
        metadata: metadata(valid, &valid.owner.name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(valid.owner.selector(labels::COMPONENT_SERVE)),
                ..LabelSelector::default()
            }),
            // A pod that serves nobody must not keep a node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
