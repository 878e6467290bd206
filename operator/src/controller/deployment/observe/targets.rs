//! What no model pod may reach, as the cluster has it. Client required.
//!
//! All of it goes into the arguments of the pods, so it is taken from what stays: addresses of Services, never of pods. A
//! change of an argument rolls the pods.

use std::{collections::BTreeSet, net::IpAddr};

use alcazar_contract::{
    CANARY_PORT, SERVICE_PORT, gateway,
    isolation::{CANARY_SERVICE, Target, TargetKind},
};
use k8s_openapi::{api::core::v1::Service, apimachinery::pkg::util::intstr::IntOrString};
use kube::Api;
use tokio::sync::OnceCell;

use crate::{context::Context, env_vars, settings::Isolation};

/// Where clouds answer with credentials, by both families.
const METADATA: [&str; 2] = ["169.254.169.254:80", "[fd00:ec2::254]:80"];
/// The kubelet's ports: with authentication, and the read-only one of old.
const KUBELET_PORTS: [u16; 2] = [10_250, 10_255];
/// Where an API server listens on its node when its Service does not tell.
const API_SERVER_PORT: u16 = 6443;

/// What a model pod tries and must not reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    /// At addresses that are the same for every pod.
    pub(crate) named: Vec<Target>,
    /// At whatever addresses the pod's node has.
    pub(crate) node_ports: Vec<(TargetKind, u16)>,
}

/// The targets, found once: the addresses of Services do not change.
#[derive(Debug, Default)]
pub(crate) struct FoundTargets(OnceCell<Targets>);

impl FoundTargets {
    /// None named while the address of the API server is not known.
    pub(crate) async fn get(&self, ctx: &Context) -> Targets {
        let found = self.0.get_or_try_init(|| async { find(ctx).await.ok_or(()) }).await;
        found.cloned().unwrap_or_default()
    }
}

async fn find(ctx: &Context) -> Option<Targets> {
    let api_server = match read(ctx, "default", "kubernetes").await? {
        Found::There(service) => ApiServer::of(&service),
        // Inside the cluster the kubelet tells; outside (a developer's machine, a test) only the Service does.
        Found::Absent | Found::Hidden => ApiServer::of_environment()?,
    };
    let canary = addresses(&read(ctx, &ctx.namespace, CANARY_SERVICE).await?);
    let gateway = if ctx.settings.gateway.enabled {
        addresses(&read(ctx, &ctx.namespace, gateway::SERVICE).await?)
    } else {
        Vec::new()
    };
    let targets = targets(&api_server, &canary, &gateway, &ctx.settings.isolation);
    targets.named.iter().any(|target| target.kind == TargetKind::ApiServer).then_some(targets)
}

/// A Service that was looked for.
enum Found {
    There(Box<Service>),
    Absent,
    /// Not ours to read: the operator looks after some namespaces only.
    Hidden,
}

/// None: the API server could not say. Another try may find it, and a proof without it would be a lesser one.
async fn read(ctx: &Context, namespace: &str, name: &str) -> Option<Found> {
    let services: Api<Service> = Api::namespaced(ctx.client.clone(), namespace);
    match services.get_opt(name).await {
        Ok(Some(service)) => Some(Found::There(Box::new(service))),
        Ok(None) => Some(Found::Absent),
        Err(kube::Error::Api(status)) if status.code == 403 => Some(Found::Hidden),
        Err(failure) => {
            tracing::warn!(error = %failure, namespace, name, "failed to read a Service that pods must not reach");
            None
        }
    }
}

/// The API server as pods find it.
#[derive(Debug, PartialEq, Eq)]
struct ApiServer {
    addresses: Vec<String>,
    port: u16,
    /// Where it listens on its own node.
    node_port: u16,
}

impl ApiServer {
    fn of(service: &Service) -> Self {
        let first = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()?.first());
        let node_port = match first.and_then(|port| port.target_port.as_ref()) {
            Some(IntOrString::Int(port)) => u16::try_from(*port).unwrap_or(API_SERVER_PORT),
            _ => API_SERVER_PORT,
        };
        let port = first.and_then(|port| u16::try_from(port.port).ok()).unwrap_or(SERVICE_PORT);
        Self { addresses: cluster_ips(service), port, node_port }
    }

    fn of_environment() -> Option<Self> {
        let (host, port) = env_vars::read(env_vars::API_SERVER_HOST).zip(env_vars::read(env_vars::API_SERVER_PORT))?;
        Some(Self { addresses: vec![host], port: port.parse().ok()?, node_port: API_SERVER_PORT })
    }
}

fn addresses(found: &Found) -> Vec<String> {
    match found {
        Found::There(service) => cluster_ips(service),
        Found::Absent | Found::Hidden => Vec::new(),
    }
}

/// Of every family that the Service has.
fn cluster_ips(service: &Service) -> Vec<String> {
    let Some(spec) = &service.spec else { return Vec::new() };
    match &spec.cluster_ips {
        Some(all) if !all.is_empty() => all.clone(),
        _ => spec.cluster_ip.iter().cloned().collect(),
    }
}

/// Puts them together, in an order that does not change. Pure.
fn targets(api_server: &ApiServer, canary: &[String], gateway: &[String], settings: &Isolation) -> Targets {
    let mut named = Vec::new();
    let mut add = |kind: TargetKind, hosts: &[String], port: u16| {
        named.extend(hosts.iter().filter_map(|host| target(host, port)).map(|address| Target::tcp(kind, address)));
    };
    add(TargetKind::Canary, canary, CANARY_PORT);
    add(TargetKind::ApiServer, &api_server.addresses, api_server.port);
    add(TargetKind::Neighbour, gateway, SERVICE_PORT);
    named.extend(METADATA.map(|address| Target::tcp(TargetKind::Metadata, address)));
    let public = Some(&settings.public_target).filter(|target| !target.is_empty());
    named.extend(public.map(|address| Target::tcp(TargetKind::Public, address)));
    named.extend(settings.extra_targets.iter().map(|address| Target::tcp(TargetKind::Extra, address)));
    let mut seen = BTreeSet::new();
    named.retain(|target| seen.insert(target.address.clone()));
    let kubelet = KUBELET_PORTS.map(|port| (TargetKind::Kubelet, port));
    let node_ports = kubelet.into_iter().chain([(TargetKind::ApiServer, api_server.node_port)]).collect();
    Targets { named, node_ports }
}

/// An address that only this machine has proves nothing about a pod.
fn target(host: &str, port: u16) -> Option<String> {
    match host.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => None,
        Ok(IpAddr::V6(address)) => Some(format!("[{address}]:{port}")),
        Ok(IpAddr::V4(_)) | Err(_) if !host.is_empty() && host != "None" => Some(format!("{host}:{port}")),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
