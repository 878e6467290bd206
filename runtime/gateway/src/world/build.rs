//! From objects of the API to the [`World`]. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use alcazar_contract::{GATEWAY_PEER_PORT_NAME, MODEL_PORT_NAME, labels};
use alcazar_crds::{
    grant::GrantState,
    llm_api_key::LlmApiKey,
    llm_deployment::{DesiredState, LlmDeployment, PromptLogging},
    llm_vpn_peer::LlmVpnPeer,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Resource as _;

use super::{Demand, Model, World};
use crate::{
    key::{Hash, Key, Name, Spent},
    quota::{Limits, owner::Peer},
    vpn,
};

/// Label that Kubernetes puts on the slices of a Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Everything that the watches hold.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) keys: HashMap<Name, LlmApiKey>,
    pub(crate) deployments: HashMap<Name, LlmDeployment>,
    pub(crate) slices: HashMap<Name, EndpointSlice>,
    pub(crate) vpn_peers: HashMap<Name, LlmVpnPeer>,
    /// Adapters by deployment, as its pods list them.
    pub(crate) adapters: HashMap<Name, Vec<String>>,
}

/// Where the gateway itself is found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) namespace: String,
    /// Headless Service of the replicas; empty: there is one.
    pub(crate) peer_service: String,
    /// Whether there is a tunnel, and so peers of it.
    pub(crate) has_vpn: bool,
}

impl Observed {
    /// The whole of it.
    pub(crate) fn world(&self, own: &Own) -> World {
        let mut keys: Vec<_> =
            self.keys.iter().filter_map(|(name, key)| Some((made(key), key_of(name, key)?))).collect();
        keys.sort_by(|(made, key), (made_other, other)| (made, &key.name).cmp(&(made_other, &other.name)));
        let mut endpoints = endpoints(self.slices.values());
        let models = self.deployments.iter().map(|(name, deployment)| Model {
            endpoints: endpoints.remove(name).unwrap_or_default().into_iter().collect(),
            adapters: self.adapters.get(name).cloned().unwrap_or_default(),
            ..model_of(name, deployment)
        });
        let mut models: Vec<_> = models.collect();
        models.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
        World::new(keys.into_iter().map(|(_, key)| key).collect(), models, peers(self.slices.values(), own))
            .with_vpn_peers(vpn::peers::listed(&self.vpn_peers))
    }
}

fn made(key: &LlmApiKey) -> i64 {
    key.meta().creation_timestamp.as_ref().map_or(i64::MAX, |at| at.0.as_second())
}

/// None while the operator has not made it yet.
fn key_of(name: &Name, key: &LlmApiKey) -> Option<Key> {
    let (spec, status) = (&key.spec, key.status.as_ref());
    let hash = match &spec.secret_name {
        Some(_) => status.and_then(|status| status.hash.as_deref()),
        None => spec.hash.as_deref(),
    };
    let limit = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
    let usage = status.and_then(|status| status.usage.clone()).unwrap_or_default();
    Some(Key {
        name: name.clone(),
        hash: Hash::from_hex(hash?)?,
        models: spec.models.clone(),
        limits: Limits {
            requests_per_minute: limit(spec.limits.requests_per_minute.map(i64::from)),
            tokens_per_minute: limit(spec.limits.tokens_per_minute.map(i64::from)),
            tokens_per_day: limit(spec.limits.tokens_per_day),
        },
        expires_at: spec.expires_at.as_ref().map(|end| end.0),
        is_revoked: spec.state != GrantState::Active || key.meta().deletion_timestamp.is_some(),
        spent: Spent {
            requests: usage.requests,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            tokens_today: usage.tokens_today,
            day: usage.day.unwrap_or_default(),
        },
    })
}

fn model_of(name: &Name, deployment: &LlmDeployment) -> Model {
    let spec = &deployment.spec;
    let keeps_prompts = spec.privacy.prompt_logging == PromptLogging::Enabled;
    let days = spec.privacy.retention_days.and_then(|days| u32::try_from(days).ok());
    Model {
        name: name.name.clone(),
        namespace: name.namespace.clone(),
        demand: match (spec.state, spec.replicas) {
            (DesiredState::Suspended, _) => Demand::Suspended,
            (DesiredState::Active, Some(0)) => Demand::ScaledToZero,
            (DesiredState::Active, _) => Demand::Wanted,
        },
        digest: deployment.status.as_ref().and_then(|status| status.model_digest.clone()).unwrap_or_default(),
        prompt_days: days.filter(|_| keeps_prompts),
        created: deployment.meta().creation_timestamp.as_ref().map_or(0, |at| at.0.as_second()),
        ..Model::default()
    }
}

/// Ready pods of each deployment, from the slices of its own Service. A slice counts for deployments of its namespace only,
/// and the pod has to show the deployment's certificate, whatever a slice says.
fn endpoints<'a>(slices: impl Iterator<Item = &'a EndpointSlice>) -> BTreeMap<Name, BTreeSet<SocketAddr>> {
    let mut all: BTreeMap<Name, BTreeSet<SocketAddr>> = BTreeMap::new();
    for slice in slices {
        let (Some(namespace), Some(deployment)) = (&slice.metadata.namespace, label(slice, labels::DEPLOYMENT)) else {
            continue;
        };
        if label(slice, SERVICE_NAME) == Some(deployment) {
            let ready = ready(slice, MODEL_PORT_NAME).map(|(_, address)| address);
            all.entry(Name::new(namespace, deployment)).or_default().extend(ready);
        }
    }
    all
}

fn peers<'a>(slices: impl Iterator<Item = &'a EndpointSlice>, own: &Own) -> Vec<Peer> {
    if own.peer_service.is_empty() {
        return Vec::new();
    }
    let ours = slices.filter(|slice| {
        slice.metadata.namespace.as_deref() == Some(&own.namespace)
            && label(slice, SERVICE_NAME) == Some(&own.peer_service)
    });
    let ready = ours.flat_map(|slice| ready(slice, GATEWAY_PEER_PORT_NAME));
    let named = ready.map(|(pod, address)| Peer { name: pod.unwrap_or_else(|| address.to_string()), address });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

fn label<'a>(slice: &'a EndpointSlice, name: &str) -> Option<&'a str> {
    slice.metadata.labels.as_ref()?.get(name).map(String::as_str)
}

/// Pod and address of each endpoint that is ready.
fn ready<'a>(slice: &'a EndpointSlice, port: &str) -> impl Iterator<Item = (Option<String>, SocketAddr)> + 'a {
    let ports = slice.ports.iter().flatten();
    let port =
        ports.filter(|found| found.name.as_deref() == Some(port)).find_map(|found| u16::try_from(found.port?).ok());
    let is_ready = |conditions: &k8s_openapi::api::discovery::v1::EndpointConditions| conditions.ready != Some(false);
    let endpoints = slice.endpoints.iter().filter(move |one| one.conditions.as_ref().is_none_or(is_ready));
    endpoints.filter_map(move |endpoint| {
        let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.clone());
        Some((pod, SocketAddr::new(address, port?)))
    })
}

#[cfg(test)]
mod tests;
