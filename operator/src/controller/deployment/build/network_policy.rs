//! The firewall of the model pods: nothing goes out, and in comes only who is named. Pure.

use alcazar_contract::{MODEL_PORT, PROBE_PORT, labels};
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{ValidatedDeployment, metadata, policy_name};

/// Egress is a type without a rule: denied, name resolution included. A model has nothing to ask.
pub(super) fn build_network_policy(valid: &ValidatedDeployment) -> NetworkPolicy {
    let mut probe_peers = vec![valid.operator_peer.clone()];
    probe_peers.extend(valid.metrics_from.iter().cloned());
    NetworkPolicy {
        metadata: metadata(valid, &policy_name(&valid.owner.name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(valid.owner.selector(labels::COMPONENT_SERVE)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![rule(valid.door.peers.clone(), MODEL_PORT), rule(probe_peers, PROBE_PORT)]),
            // Said outright, so that a rule that somebody adds is a difference and goes.
            egress: Some(Vec::new()),
        }),
    }
}

/// `from` is never empty: an empty list would let everybody in.
fn rule(from: Vec<NetworkPolicyPeer>, port: u16) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: Some(from),
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::Int(i32::from(port))),
            protocol: Some("TCP".to_owned()),
            ..NetworkPolicyPort::default()
        }]),
    }
}
