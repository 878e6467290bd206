//! The gateway's own pods, as an administrator handles them.

use alcazar_tests::wait::{LONG, wait_for};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::sync::RwLock;

/// One test ends a replica; whoever counts on those that are there holds this for reading meanwhile.
pub(crate) static STEADY: RwLock<()> = RwLock::const_new(());

const NAMESPACE: &str = "alcazar-system";
const NAME: &str = "alcazar-gateway";

/// Two ready replicas.
pub(crate) struct Replicas {
    pods: Api<Pod>,
    names: [String; 2],
    /// Their pods' addresses.
    pub(crate) addresses: [String; 2],
}

impl Replicas {
    /// Scales to two.
    pub(crate) async fn two(client: &Client) -> Self {
        scale(client, 2).await;
        let pods = Api::namespaced(client.clone(), NAMESPACE);
        let [first, second] = ready(&pods).await.try_into().expect("there should be two replicas");
        let (names, addresses) = ([first.0, second.0], [first.1, second.1]);
        Self { pods, names, addresses }
    }

    /// Ends one at once, without a farewell.
    pub(crate) async fn kill(&self, n: usize) {
        let now = DeleteParams::default().grace_period(0);
        self.pods.delete(&self.names[n], &now).await.expect("the replica should be deletable");
    }
}

/// Sets the number of replicas and waits for them.
pub(crate) async fn scale(client: &Client, replicas: usize) {
    let deployments = Api::<Deployment>::namespaced(client.clone(), NAMESPACE);
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments.patch_scale(NAME, &PatchParams::default(), &patch).await.expect("the gateway should scale");
    let pods = Api::namespaced(client.clone(), NAMESPACE);
    wait_for("the gateway's replicas", LONG, async || {
        let found = ready(&pods).await;
        if found.len() == replicas { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

/// Name and address of each ready pod that is not on its way out.
async fn ready(pods: &Api<Pod>) -> Vec<(String, String)> {
    let ours = ListParams::default().labels(&format!("app.kubernetes.io/name={NAME}"));
    let list = pods.list(&ours).await.expect("the gateway's pods should be readable");
    list.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).filter_map(endpoint).collect()
}

fn endpoint(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?;
    let is_ready = status.conditions.iter().flatten().any(|seen| seen.type_ == "Ready" && seen.status == "True");
    is_ready.then_some((pod.name_any(), status.pod_ip.clone()?))
}
