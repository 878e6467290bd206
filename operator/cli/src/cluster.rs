//! What is asked of a cluster, with the rights of whoever asks. Client required.

use std::{collections::BTreeSet, net::Ipv4Addr};

use alcazar_contract::gateway::vpn::NAME;
use alcazar_crds::{llm_api_key::LlmApiKey, llm_vpn_peer::LlmVpnPeer};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
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
    let found = api.get_opt(NAME).await.map_err(|error| unknown(told(&error)))?;
    let found = found.ok_or_else(|| unknown("it is not there; is gateway.vpn.enabled set?".to_owned()))?;
    vpn::server_of_config_map(&found.data.unwrap_or_default()).map_err(unknown)
}

/// Addresses that peers of any namespace have.
///
/// # Errors
/// The peers of the whole cluster cannot be listed.
pub async fn taken(client: &Client) -> Result<BTreeSet<Ipv4Addr>, Error> {
    let peers = Api::<LlmVpnPeer>::all(client.clone()).list(&ListParams::default()).await;
    let action = "list the peers of all namespaces, to find a free address (or give one with --address)";
    let peers = peers.map_err(|error| failed(action.to_owned(), &error))?;
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
    match api.patch(name, &parameters, &revoked).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {
            must_exist(client, namespace).await?;
            return Err(failed(action(), &kube::Error::Api(status)));
        }
        Err(error) => return Err(failed(action(), &error)),
    }
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
    let found = found.map_err(|error| failed("list keys".to_owned(), &error))?.items;
    // The API server lists nothing of a namespace that it does not have.
    if found.is_empty() && !all {
        must_exist(client, namespace).await?;
    }
    Ok(found)
}

/// Whoever may not see namespaces is told no more than the API server said.
async fn must_exist(client: &Client, namespace: &str) -> Result<(), Error> {
    match Api::<Namespace>::all(client.clone()).get_opt(namespace).await {
        Ok(None) => Err(Error::Namespace { namespace: namespace.to_owned() }),
        Ok(Some(_)) | Err(_) => Ok(()),
    }
}

fn failed(action: String, error: &kube::Error) -> Error {
    match error {
        kube::Error::Api(_) => Error::Api { action, why: told(error) },
        _ => Error::Cluster { why: told(error) },
    }
}

/// What the API server or the network said, and what helps.
fn told(error: &kube::Error) -> String {
    let kube::Error::Api(status) = error else {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        return causes.map(ToString::to_string).last().unwrap_or_else(|| error.to_string());
    };
    let said = status.message.trim();
    let hint = match status.code {
        401 => "; the cluster does not know you: log in again, or look at the user of your KUBECONFIG",
        403 => {
            "; ask who administers the cluster for the role that allows it: docs/install.md has the chart's roles for people"
        }
        404 if said.contains("page not found") || said.contains("requested resource") => {
            "; the cluster does not have this kind: is Alcazar installed in it?"
        }
        _ => "",
    };
    format!("{said}{hint}")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_the_api_server_says_comes_with_what_helps() {
        for (code, said, word) in [
            (401, "Unauthorized", "log in again"),
            (403, "llmapikeys.alcazar.dev is forbidden: User \"ana\" cannot list", "ask who administers"),
            (404, "404 page not found\n", "is Alcazar installed"),
            (404, "llmapikeys.alcazar.dev \"ana\" not found", "\"ana\" not found"),
            (500, "etcd is away", "etcd is away"),
        ] {
            let status = Status { code, message: said.to_owned(), ..Status::default() };
            let error = failed("list keys".to_owned(), &kube::Error::Api(Box::new(status)));
            let text = error.to_string();
            assert!(text.starts_with("failed to list keys: ") && text.contains(word), "{text}");
            assert!(text.contains(said.trim()) && error.exit_code() == 1, "{text}");
        }
    }
}
