//! What is asked of a cluster, with the rights of whoever asks. Client required.

use std::{collections::BTreeSet, net::Ipv4Addr};

use alcazar_contract::gateway::vpn::NAME;
use alcazar_crds::{llm_api_key::LlmApiKey, llm_vpn_peer::LlmVpnPeer};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    error::Error,
    vpn::{self, Server},
};

/// Writer of what this program changes.
const FIELD_MANAGER: &str = "alcazar";

/// A client of the cluster that `KUBECONFIG` names.
///
/// # Errors
/// There is none, or it is unreadable.
pub async fn connect() -> Result<Client, Error> {
    Client::try_default().await.map_err(|error| Error::Cluster { why: error.to_string() })
}

/// The server of the VPN.
///
/// # Errors
/// Its ConfigMap cannot be read, or is not whole.
pub async fn server(client: &Client, namespace: &str) -> Result<Server, Error> {
    let unknown = |why: String| Error::Server { namespace: namespace.to_owned(), why };
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(NAME).await.map_err(|error| unknown(error.to_string()))?;
    let found = found.ok_or_else(|| unknown("it is not there; is gateway.vpn.enabled set?".to_owned()))?;
    vpn::server_of_config_map(&found.data.unwrap_or_default()).map_err(unknown)
}

/// Addresses that peers of any namespace have.
///
/// # Errors
/// The peers of the whole cluster cannot be listed.
pub async fn taken(client: &Client) -> Result<BTreeSet<Ipv4Addr>, Error> {
    let peers = Api::<LlmVpnPeer>::all(client.clone()).list(&ListParams::default()).await;
    let peers = peers.map_err(|error| Error::Api {
        action: "list the peers of all namespaces, to find a free address (or give one with --address)".to_owned(),
        why: error.to_string(),
    })?;
    Ok(peers.items.iter().filter_map(|peer| peer.spec.address.parse().ok()).collect())
}

/// Takes the key back.
///
/// # Errors
/// What the API server says.
pub async fn revoke(client: &Client, namespace: Option<&str>, name: &str) -> Result<String, Error> {
    let namespace = namespace.unwrap_or(client.default_namespace());
    let api: Api<LlmApiKey> = Api::namespaced(client.clone(), namespace);
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let revoked = Patch::Merge(json!({"spec": {"state": "Revoked"}}));
    let action = || format!("revoke LlmApiKey {name} of namespace {namespace}");
    let answer = api.patch(name, &parameters, &revoked).await;
    answer.map_err(|error| Error::Api { action: action(), why: error.to_string() })?;
    Ok(format!(
        "LlmApiKey {name} of namespace {namespace} is revoked; if Git has it, set spec.state: Revoked there too\n"
    ))
}

/// The keys of a namespace, or of all.
///
/// # Errors
/// What the API server says.
pub async fn keys(client: &Client, namespace: Option<&str>, all: bool) -> Result<Vec<LlmApiKey>, Error> {
    let namespace = namespace.unwrap_or(client.default_namespace());
    let api = if all { Api::all(client.clone()) } else { Api::namespaced(client.clone(), namespace) };
    let found = api.list(&ListParams::default()).await;
    let found = found.map_err(|error| Error::Api { action: "list keys".to_owned(), why: error.to_string() })?;
    Ok(found.items)
}
