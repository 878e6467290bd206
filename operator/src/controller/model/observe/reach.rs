//! Whom the fetch pod may talk to, in the terms of a NetworkPolicy. Client required: names are resolved and Services read.
//!
//! Done once for each attempt, just before it, and written beside the policy: names that resolve anew each time must not
//! rewrite the policy each time.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use alcazar_crds::reasons::ModelReason;
use ipnet::IpNet;
use k8s_openapi::{
    api::core::v1::{Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::Api;
use serde::{Deserialize, Serialize};

use super::super::host::{self, SourceHost};
use crate::context::Context;

/// A name that takes longer does not resolve.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything the pod may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// In the order of the hosts.
    pub(crate) peers: Vec<Peer>,
    /// Whether names must be resolved on the way.
    pub(crate) dns: bool,
}

/// One destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Peer {
    /// Pods of a Service of the cluster: policies act behind the Service's address.
    Pods { namespace: String, selector: BTreeMap<String, String>, port: IntOrString },
    /// Addresses.
    Cidrs { cidrs: Vec<IpNet>, port: u16 },
}

/// Why a host cannot be put into a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreachable {
    pub(crate) reason: ModelReason,
    pub(crate) message: String,
}

/// Looks up all hosts.
pub(crate) async fn reach(ctx: &Context, hosts: &[SourceHost]) -> Result<Reach, Unreachable> {
    let mut reach = Reach::default();
    for host in hosts {
        reach.dns |= host.name.parse::<IpAddr>().is_err();
        reach.peers.push(peer(ctx, host).await?);
    }
    Ok(reach)
}

async fn peer(ctx: &Context, host: &SourceHost) -> Result<Peer, Unreachable> {
    if let Some((name, namespace)) = host.service()
        && let Some(peer) = service(ctx, name, namespace, host.port).await?
    {
        return Ok(peer);
    }
    if let Some(cidrs) = ctx.settings.source_cidrs.get(&host.name) {
        // Checked when the settings were read.
        let cidrs = cidrs.iter().filter_map(|cidr| cidr.parse().ok()).collect();
        return Ok(Peer::Cidrs { cidrs, port: host.port });
    }
    let addresses = resolve(host).await?;
    let cidrs = host::vet_addresses(host, &addresses)
        .map_err(|message| Unreachable { reason: ModelReason::SourceNotAllowed, message })?;
    Ok(Peer::Cidrs { cidrs, port: host.port })
}

/// The pods of a Service; `None` where it has no selector: then its addresses count.
async fn service(ctx: &Context, name: &str, namespace: &str, port: u16) -> Result<Option<Peer>, Unreachable> {
    let api: Api<Service> = Api::namespaced(ctx.client.clone(), namespace);
    match api.get_opt(name).await {
        Ok(Some(service)) => Ok(pods_of(&service, namespace, port)),
        Ok(None) => Err(Unreachable {
            reason: ModelReason::SourceNotResolved,
            message: format!(
                "there is no Service {name} in namespace {namespace}; create it or correct the host of the source"
            ),
        }),
        // Not ours to read (the operator looks after some namespaces only): its address has to do.
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(failure) => Err(Unreachable {
            reason: ModelReason::SourceNotResolved,
            message: format!("failed to look up Service {namespace}/{name}: {failure}"),
        }),
    }
}

fn pods_of(service: &Service, namespace: &str, port: u16) -> Option<Peer> {
    let spec = service.spec.as_ref()?;
    let selector = spec.selector.clone().filter(|selector| !selector.is_empty())?;
    let entry: &ServicePort = spec.ports.iter().flatten().find(|entry| entry.port == i32::from(port))?;
    let port = match entry.target_port.clone() {
        Some(target) => target,
        None => IntOrString::Int(entry.port),
    };
    Some(Peer::Pods { namespace: namespace.to_owned(), selector, port })
}

async fn resolve(host: &SourceHost) -> Result<Vec<IpAddr>, Unreachable> {
    if let Ok(address) = host.name.parse() {
        return Ok(vec![address]);
    }
    let unresolved = |why: String| Unreachable {
        reason: ModelReason::SourceNotResolved,
        message: format!(
            "'{}' does not resolve: {why}; correct the host of the source or the cluster's DNS",
            host.name
        ),
    };
    let lookup = tokio::net::lookup_host((host.name.as_str(), host.port));
    match tokio::time::timeout(PATIENCE, lookup).await {
        Err(_) => Err(unresolved("no answer in time".to_owned())),
        Ok(Err(source)) => Err(unresolved(source.to_string())),
        Ok(Ok(found)) => {
            let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            if addresses.is_empty() { Err(unresolved("it has no address".to_owned())) } else { Ok(addresses) }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ServiceSpec;

    use super::*;

    fn service(selector: &[(&str, &str)], target: Option<IntOrString>) -> Service {
        let selector = selector.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Service {
            spec: Some(ServiceSpec {
                selector: Some(selector),
                ports: Some(vec![ServicePort { port: 80, target_port: target, ..ServicePort::default() }]),
                ..ServiceSpec::default()
            }),
            ..Service::default()
        }
    }

    #[test]
    fn a_service_is_reached_at_its_pods() {
        let found = pods_of(&service(&[("app", "hub")], Some(IntOrString::Int(8080))), "hub", 80);
        let Some(Peer::Pods { namespace, port, .. }) = found else { unreachable!("{found:?}") };
        assert_eq!((namespace.as_str(), port), ("hub", IntOrString::Int(8080)));
        let named = pods_of(&service(&[("app", "hub")], Some(IntOrString::String("http".into()))), "hub", 80);
        assert!(matches!(named, Some(Peer::Pods { port: IntOrString::String(name), .. }) if name == "http"));
        assert!(pods_of(&service(&[], None), "hub", 80).is_none(), "without a selector its pods are unknown");
        assert!(pods_of(&service(&[("app", "hub")], None), "hub", 81).is_none(), "not a port of the Service");
    }

    #[test]
    fn survives_its_annotation() {
        let reach = Reach {
            dns: true,
            peers: vec![
                Peer::Cidrs { cidrs: vec!["203.0.113.0/24".parse().unwrap()], port: 443 },
                pods_of(&service(&[("app", "hub")], None), "hub", 80).unwrap(),
            ],
        };
        let text = serde_json::to_string(&reach).unwrap();
        assert_eq!(serde_json::from_str::<Reach>(&text).unwrap(), reach);
    }
}
