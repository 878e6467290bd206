//! How far the fetch pods are, asked in the background so that no pass ever waits for a pod. Client required.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use alcazar_contract::{PROBE_PORT, labels, routes, status::FetchStatus};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use tokio_util::sync::CancellationToken;

use crate::{children::OwnerKind, context::Context, pod_http, runner::Waker, store::Key};

/// Between two questions: each news is one write of the status.
const EVERY: Duration = Duration::from_secs(3);
/// Pods of one round; the others keep what they last told.
const AT_A_TIME: usize = 64;

/// What all fetch pods told, by uid.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<HashMap<String, FetchStatus>>);

impl Progress {
    /// What the pod of that uid told when it was last asked.
    pub(crate) fn of(&self, uid: &str) -> Option<FetchStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    /// Asks the pods until `stop`.
    pub(crate) async fn run(&self, ctx: &Context, waker: &Waker, stop: &CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            let pods = running(ctx);
            let told = join_all(pods.iter().take(AT_A_TIME).map(ask)).await;
            for model in self.hear(&pods, told) {
                waker.wake(model);
            }
        }
    }

    /// Keeps the answers; names the models with news.
    fn hear(&self, pods: &[Running], told: Vec<Option<FetchStatus>>) -> Vec<Key> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid));
        let mut news = Vec::new();
        for (pod, told) in pods.iter().zip(told) {
            let Some(told) = told else { continue };
            let before = known.insert(pod.uid.clone(), told.clone());
            if before.as_ref() != Some(&told) {
                news.push(pod.model.clone());
            }
        }
        news
    }
}

#[derive(Clone, Debug)]
struct Running {
    uid: String,
    model: Key,
    address: IpAddr,
}

async fn ask(pod: &Running) -> Option<FetchStatus> {
    pod_http::get_json(SocketAddr::new(pod.address, PROBE_PORT), routes::STATUS).await
}

fn running(ctx: &Context) -> Vec<Running> {
    let of_model = |key: &Key| {
        let cached = ctx.stores.pods.get(key)?;
        let owner = cached.owner().filter(|owner| owner.kind == OwnerKind::Model)?;
        let address = address(&cached.parse().ok()?)?;
        Some(Running { uid: cached.uid().to_owned(), model: owner.key.clone(), address })
    };
    let is_of_model =
        |cached: &crate::store::Cached<Pod>| cached.owner().is_some_and(|owner| owner.kind == OwnerKind::Model);
    ctx.stores.pods.keys_where(|_, cached| is_of_model(cached)).iter().filter_map(of_model).collect()
}

fn address(pod: &Pod) -> Option<IpAddr> {
    let label = pod.metadata.labels.as_ref()?.get(labels::COMPONENT)?;
    let status = pod.status.as_ref()?;
    let runs = label == labels::COMPONENT_FETCH && status.phase.as_deref() == Some("Running");
    if runs { status.pod_ip.as_ref()?.parse().ok() } else { None }
}
