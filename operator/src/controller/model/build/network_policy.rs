//! The firewall of the fetch pod: in, the operator's question how far it is; out, names and the source, nothing else. Pure.

use std::collections::BTreeMap;

use alcazar_contract::{PROBE_PORT, labels};
use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{
    super::{
        observe::reach::{Peer, Reach},
        plan::Plan,
        validate::ValidatedModel,
    },
    Site,
};

/// Label that every namespace has, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

pub(super) fn build_network_policy(valid: &ValidatedModel, plan: &Plan, site: Site<'_>) -> NetworkPolicy {
    let mut metadata = super::metadata(valid, &super::fetch_name(&valid.owner.name));
    metadata.annotations = Some(plan.recorded.write());
    NetworkPolicy {
        metadata,
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(valid.owner.selector(labels::COMPONENT_FETCH))),
            // Both named: a direction without rules is closed, not open.
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![from_operator(site.operator_namespace)]),
            egress: Some(egress(&plan.recorded.reach)),
        }),
    }
}

fn from_operator(namespace: &str) -> NetworkPolicyIngressRule {
    let name = labels::APP_NAME_OPERATOR.to_owned();
    NetworkPolicyIngressRule {
        from: Some(vec![pods_in(namespace, BTreeMap::from([(labels::APP_NAME.to_owned(), name)]))]),
        ports: Some(vec![port("TCP", IntOrString::Int(i32::from(PROBE_PORT)))]),
    }
}

fn egress(reach: &Reach) -> Vec<NetworkPolicyEgressRule> {
    let dns = reach.dns.then(|| NetworkPolicyEgressRule {
        to: Some(vec![pods_in("kube-system", BTreeMap::from([("k8s-app".to_owned(), "kube-dns".to_owned())]))]),
        ports: Some(vec![port("UDP", IntOrString::Int(53)), port("TCP", IntOrString::Int(53))]),
    });
    dns.into_iter().chain(reach.peers.iter().map(to_peer)).collect()
}

fn to_peer(peer: &Peer) -> NetworkPolicyEgressRule {
    let (to, ports) = match peer {
        Peer::Pods { namespace, selector, port: target } => {
            (vec![pods_in(namespace, selector.clone())], vec![port("TCP", target.clone())])
        }
        Peer::Cidrs { cidrs, port: target } => {
            let block = |cidr: &ipnet::IpNet| NetworkPolicyPeer {
                ip_block: Some(IPBlock { cidr: cidr.to_string(), except: None }),
                ..NetworkPolicyPeer::default()
            };
            (cidrs.iter().map(block).collect(), vec![port("TCP", IntOrString::Int(i32::from(*target)))])
        }
    };
    NetworkPolicyEgressRule { to: Some(to), ports: Some(ports) }
}

/// Both selectors in one peer: these pods in that namespace.
fn pods_in(namespace: &str, pods: BTreeMap<String, String>) -> NetworkPolicyPeer {
    let name = BTreeMap::from([(NAMESPACE_NAME.to_owned(), namespace.to_owned())]);
    NetworkPolicyPeer {
        namespace_selector: Some(selector(name)),
        pod_selector: Some(selector(pods)),
        ..NetworkPolicyPeer::default()
    }
}

fn selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn port(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.to_owned()), port: Some(port), ..NetworkPolicyPort::default() }
}
