//! The fetch pod's way to hosts by their names, for clusters with Cilium: addresses that a name has later are let through
//! too. Pure. It adds to the NetworkPolicy, as policies do, and names nothing that the source does not.

use alcazar_contract::labels;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::super::{
    host::SourceHost,
    validate::{ValidatedModel, Work},
};
use crate::apply::cilium;

/// None for a source without a public name: a Service and an address need no name to be looked up.
pub(super) fn build_cilium_policy(valid: &ValidatedModel) -> Option<DynamicObject> {
    let Work::Fetch { hosts, .. } = &valid.work else { return None };
    let names: Vec<&SourceHost> = hosts.iter().filter(|host| is_public_name(host)).collect();
    if names.is_empty() {
        return None;
    }
    let spec = json!({
        "endpointSelector": {"matchLabels": valid.owner.selector(labels::COMPONENT_FETCH)},
        "egress": std::iter::once(dns()).chain(names.into_iter().map(by_name)).collect::<Vec<_>>(),
    });
    let mut policy = DynamicObject::new(&super::fetch_name(&valid.owner.name), &cilium::resource());
    policy.metadata = super::metadata(valid, &super::fetch_name(&valid.owner.name));
    policy.data = json!({ "spec": spec });
    Some(policy)
}

fn is_public_name(host: &SourceHost) -> bool {
    host.service().is_none() && host.name.parse::<std::net::IpAddr>().is_err()
}

/// Cilium learns which addresses a name has by reading the answers, which takes a rule for DNS in the same policy.
fn dns() -> Value {
    let pods = json!({"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s:k8s-app": "kube-dns"});
    json!({
        "toEndpoints": [{"matchLabels": pods}],
        "toPorts": [{
            "ports": [{"port": "53", "protocol": "UDP"}, {"port": "53", "protocol": "TCP"}],
            // Every name: resolvers ask for the search domains first, and stop when that is refused.
            "rules": {"dns": [{"matchPattern": "*"}]},
        }],
    })
}

fn by_name(host: &SourceHost) -> Value {
    json!({
        "toFQDNs": [{"matchName": host.name}],
        "toPorts": [{"ports": [{"port": host.port.to_string(), "protocol": "TCP"}]}],
    })
}
