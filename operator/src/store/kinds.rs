//! The kinds that are watched, and what of each is kept. Pure.

use std::fmt::Debug;

use alcazar_crds::{
    llm_api_key::LlmApiKey, llm_deployment::LlmDeployment, llm_model::LlmModel, llm_vpn_peer::LlmVpnPeer,
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{Resource, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::Store;

/// A kind with a store.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
    /// Drops what no step reads. Metadata's managed fields are gone already.
    fn prune(_object: &mut Value) {}

    /// Values by which others look the object up: the model that a deployment names, the hash of a key.
    fn marks(_object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// The store of this kind.
    fn store(stores: &Stores) -> &Store<Self>;
}

/// One store for each watched kind.
#[derive(Clone, Default)]
pub struct Stores {
    /// Ours: all of them.
    pub llm_deployments: Store<LlmDeployment>,
    /// Ours: all of them.
    pub llm_models: Store<LlmModel>,
    /// Ours: all of them, without what the gateway writes.
    pub llm_api_keys: Store<LlmApiKey>,
    /// Ours: all of them, without what the gateway writes.
    pub llm_vpn_peers: Store<LlmVpnPeer>,
    /// Those with our label, as all below.
    pub deployments: Store<Deployment>,
    /// With status.
    pub jobs: Store<Job>,
    /// Node, container names and status only.
    pub pods: Store<Pod>,
    /// Normal and headless.
    pub services: Store<Service>,
    /// Accounts without a token.
    pub service_accounts: Store<ServiceAccount>,
    /// Volumes.
    pub claims: Store<PersistentVolumeClaim>,
    /// Firewalls.
    pub network_policies: Store<NetworkPolicy>,
    /// Disruption budgets.
    pub disruption_budgets: Store<PodDisruptionBudget>,
}

impl Stores {
    /// As if all first lists were complete.
    #[cfg(test)]
    pub(crate) fn sync_for_tests(&self) {
        self.llm_deployments.expect_lists(0);
        self.llm_models.expect_lists(0);
        self.llm_api_keys.expect_lists(0);
        self.llm_vpn_peers.expect_lists(0);
        self.deployments.expect_lists(0);
        self.jobs.expect_lists(0);
        self.pods.expect_lists(0);
        self.services.expect_lists(0);
        self.service_accounts.expect_lists(0);
        self.claims.expect_lists(0);
        self.network_policies.expect_lists(0);
        self.disruption_budgets.expect_lists(0);
    }

    /// Plural names of the kinds whose first list is not complete.
    #[must_use]
    pub fn unsynced(&self) -> Vec<&'static str> {
        let Self {
            llm_deployments,
            llm_models,
            llm_api_keys,
            llm_vpn_peers,
            deployments,
            jobs,
            pods,
            services,
            service_accounts,
            claims,
            network_policies,
            disruption_budgets,
        } = self;
        [
            ("llmdeployments", llm_deployments.is_synced()),
            ("llmmodels", llm_models.is_synced()),
            ("llmapikeys", llm_api_keys.is_synced()),
            ("llmvpnpeers", llm_vpn_peers.is_synced()),
            ("deployments", deployments.is_synced()),
            ("jobs", jobs.is_synced()),
            ("pods", pods.is_synced()),
            ("services", services.is_synced()),
            ("serviceaccounts", service_accounts.is_synced()),
            ("persistentvolumeclaims", claims.is_synced()),
            ("networkpolicies", network_policies.is_synced()),
            ("poddisruptionbudgets", disruption_budgets.is_synced()),
        ]
        .into_iter()
        .filter_map(|(kind, synced)| (!synced).then_some(kind))
        .collect()
    }
}

macro_rules! kinds {
    ($($kind:ty => $field:ident),* $(,)?) => {
        $(impl Kind for $kind {
            fn store(stores: &Stores) -> &Store<Self> {
                &stores.$field
            }
        })*
    };
}

kinds! {
    LlmModel => llm_models,
    Deployment => deployments,
    Job => jobs,
    Service => services,
    ServiceAccount => service_accounts,
    PersistentVolumeClaim => claims,
    NetworkPolicy => network_policies,
    PodDisruptionBudget => disruption_budgets,
}

impl Kind for LlmDeployment {
    /// The model that it names.
    fn marks(object: &Value) -> Vec<String> {
        texts(object, &["/spec/modelName"])
    }

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.llm_deployments
    }
}

impl Kind for LlmApiKey {
    fn prune(object: &mut Value) {
        drop_fields(object, "/status", &["lastUsedTime", "usage"]);
        drop_fields(object, "/metadata", &["resourceVersion"]);
    }

    /// The key's hash, whoever made it.
    fn marks(object: &Value) -> Vec<String> {
        texts(object, &["/spec/hash", "/status/hash"])
    }

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.llm_api_keys
    }
}

impl Kind for LlmVpnPeer {
    fn prune(object: &mut Value) {
        drop_fields(object, "/status", &["lastHandshakeTime", "receivedBytes", "sentBytes"]);
        drop_fields(object, "/metadata", &["resourceVersion"]);
    }

    /// Key and address.
    fn marks(object: &Value) -> Vec<String> {
        texts(object, &["/spec/publicKey", "/spec/address"])
    }

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.llm_vpn_peers
    }
}

/// What changes without concerning anybody here: an object that differs in nothing else is no news.
fn drop_fields(object: &mut Value, parent: &str, fields: &[&str]) {
    if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.retain(|field, _| !fields.contains(&field.as_str()));
    }
}

fn texts(object: &Value, paths: &[&str]) -> Vec<String> {
    paths.iter().filter_map(|path| object.pointer(path)?.as_str().map(str::to_owned)).collect()
}

impl Kind for Pod {
    /// A pod is made by a Deployment or a Job, never by us: only how it fares is of interest.
    fn prune(object: &mut Value) {
        if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| key.starts_with("alcazar.dev/"));
        }
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
        spec.retain(|field, _| field == "nodeName" || field == "containers");
        for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                container.retain(|field, _| field == "name" || field == "image");
            }
        }
    }

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.pods
    }
}
