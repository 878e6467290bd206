//! Who may call the model: by which door people come, and whether the operator itself stands outside of it. Pure.

use std::collections::BTreeMap;

use alcazar_contract::{gateway::SERVICE, labels};
use alcazar_crds::llm_deployment::{AccessMode, LlmDeploymentSpec};
use k8s_openapi::{api::networking::v1::NetworkPolicyPeer, apimachinery::pkg::apis::meta::v1::LabelSelector};

use super::Error;
use crate::settings::Settings;

/// Who may call the model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Door {
    /// Whether the model port answers the gateway's certificate alone.
    pub(crate) mode: AccessMode,
    /// Peers of the model port; never empty.
    pub(crate) peers: Vec<NetworkPolicyPeer>,
    /// Name of the Service that clients call, as pods of the cluster resolve it.
    pub(crate) host: String,
    /// Whether none of the peers can be the operator: then what it tries at the model port must be refused.
    pub(crate) shuts_out_operator: bool,
}

/// The gateway comes in on every installation that has one; with `Direct` others too.
pub(super) fn door(
    spec: &LlmDeploymentSpec,
    settings: &Settings,
    (name, namespace): (&str, &str),
    operator_namespace: &str,
) -> Result<Door, Error> {
    let (mode, named) = (spec.access.mode, &spec.network.allow_from);
    let gateway = settings.gateway.enabled.then(|| pods_of(operator_namespace, labels::APP_NAME_GATEWAY));
    match mode {
        AccessMode::Gateway if !named.is_empty() => Err(Error::PeersWithoutDirect),
        AccessMode::Gateway => {
            let gateway = gateway.ok_or(Error::GatewayDisabled)?;
            let host = format!("{SERVICE}.{operator_namespace}.svc");
            Ok(Door { mode, peers: vec![gateway], host, shuts_out_operator: true })
        }
        AccessMode::Direct => {
            let direct = if named.is_empty() { vec![own_namespace()] } else { named.clone() };
            // Whose labels a namespace has, or which address a pod, is not known here: then nothing is claimed.
            let is_local = |peer: &NetworkPolicyPeer| peer.namespace_selector.is_none() && peer.ip_block.is_none();
            let shuts_out_operator = namespace != operator_namespace && direct.iter().all(is_local);
            let host = format!("{name}.{namespace}.svc");
            Ok(Door { mode, peers: gateway.into_iter().chain(direct).collect(), host, shuts_out_operator })
        }
    }
}

/// All pods of the deployment's own namespace.
fn own_namespace() -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() }
}

/// Pods of one of our programs. Both selectors in one peer: these pods in that namespace, not either.
pub(super) fn pods_of(namespace: &str, program: &str) -> NetworkPolicyPeer {
    let selector = |key: &str, value: &str| LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    };
    NetworkPolicyPeer {
        namespace_selector: Some(selector("kubernetes.io/metadata.name", namespace)),
        pod_selector: Some(selector(labels::APP_NAME, program)),
        ..NetworkPolicyPeer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::deployment::test_support::settings;

    fn opened(spec: &str, extra: &str, namespace: &str) -> Result<Door, Error> {
        let model = "model: {source: {persistentVolumeClaim: {claimName: c}}}";
        let spec = serde_yaml::from_str(&format!("{{{model}, {spec}}}")).unwrap();
        door(&spec, &settings(extra), ("assistant", namespace), "alcazar-system")
    }

    #[test]
    fn by_default_only_the_gateway_comes_in() {
        let door = opened("", "", "team-a").unwrap();
        assert_eq!((door.mode, door.peers.len(), door.shuts_out_operator), (AccessMode::Gateway, 1, true));
        let peer = serde_json::to_string(&door.peers[0]).unwrap();
        assert!(peer.contains("alcazar-gateway") && peer.contains("alcazar-system"), "{peer}");
        assert_eq!(door.host, "alcazar-gateway.alcazar-system.svc");
        let off = opened("", "gateway: {enabled: false}", "team-a").unwrap_err();
        assert_eq!(off, Error::GatewayDisabled);
        let peers = opened("network: {allowFrom: [{podSelector: {}}]}", "", "team-a").unwrap_err();
        assert_eq!(peers, Error::PeersWithoutDirect);
    }

    #[test]
    fn direct_access_adds_peers_and_needs_no_gateway() {
        let door = opened("access: {mode: Direct}", "", "team-a").unwrap();
        assert_eq!((door.peers.len(), door.shuts_out_operator), (2, true), "the gateway and the own namespace");
        let door = opened("access: {mode: Direct}", "gateway: {enabled: false}", "team-a").unwrap();
        assert_eq!((door.peers, door.host.as_str()), (vec![own_namespace()], "assistant.team-a.svc"));
    }

    #[test]
    fn what_may_include_the_operator_is_not_claimed_to_shut_it_out() {
        for (peer, namespace, shut) in [
            ("{podSelector: {matchLabels: {role: app}}}", "team-a", true),
            ("{podSelector: {}}", "alcazar-system", false),
            ("{namespaceSelector: {}}", "team-a", false),
            ("{ipBlock: {cidr: 10.0.0.0/8}}", "team-a", false),
        ] {
            let spec = format!("access: {{mode: Direct}}, network: {{allowFrom: [{peer}]}}");
            assert_eq!(opened(&spec, "", namespace).unwrap().shuts_out_operator, shut, "{peer}");
        }
    }
}
