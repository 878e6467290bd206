//! Asks the pods which adapters they serve: `/v1/models`, one pod of each deployment.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;

use crate::{
    key::Name,
    upstream::fleet::{Call, Fleet},
    watch::Cluster,
    world::{Model, World},
};

/// Adapters change with the pods, which are asked as soon as they are there; this is for the case that one did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(30);
const MAX_BYTES: usize = 1 << 20;
const MAX_ADAPTERS: usize = 1024;

#[derive(Deserialize)]
struct List {
    data: Vec<Card>,
}

#[derive(Deserialize)]
struct Card {
    id: String,
    #[serde(default)]
    parent: Option<String>,
}

/// Asks, for as long as it is polled.
pub(crate) async fn follow(cluster: Arc<Cluster>, fleet: Arc<Fleet>, mut worlds: watch::Receiver<Arc<World>>) {
    let mut asked: HashMap<Name, Vec<SocketAddr>> = HashMap::new();
    loop {
        let models: Vec<_> = worlds.borrow_and_update().models().cloned().collect();
        for model in models {
            let name = Name::new(&model.namespace, &model.name);
            if model.endpoints.is_empty() || asked.get(&name) == Some(&model.endpoints) {
                continue;
            }
            if let Some(adapters) = ask(&fleet, &model).await {
                cluster.adapters(name.clone(), adapters);
                asked.insert(name, model.endpoints.clone());
            }
        }
        let again = tokio::time::sleep(ASK_AGAIN);
        tokio::select! {
            changed = worlds.changed() => if changed.is_err() { return },
            () = again => asked.clear(),
        }
    }
}

async fn ask(fleet: &Fleet, model: &Model) -> Option<Vec<String>> {
    let flight = fleet.pick(model, None, &[])?;
    let call = Call { method: Method::GET, path: "/v1/models", headers: HeaderMap::new(), body: Bytes::new() };
    let mut answered = fleet.call(&flight, &call).await.ok()?;
    let is_ok = answered.response.status() == StatusCode::OK;
    let body = Limited::new(answered.response.into_body(), MAX_BYTES).collect().await.ok()?.to_bytes();
    answered.lease.finish();
    is_ok.then(|| adapters_of(&body, &model.name)).flatten()
}

/// Cards that name the model as their parent.
fn adapters_of(body: &[u8], model: &str) -> Option<Vec<String>> {
    let list: List = serde_json::from_slice(body).ok()?;
    let adapters = list.data.into_iter().filter(|card| card.parent.as_deref() == Some(model) && card.id != model);
    Some(adapters.map(|card| card.id).take(MAX_ADAPTERS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_are_those_with_the_model_as_parent() {
        let body = br#"{"object":"list","data":[{"id":"m","parent":null},{"id":"a","parent":"m"},{"id":"b","parent":"x"},{"id":"c"}]}"#;
        assert_eq!(adapters_of(body, "m"), Some(vec!["a".to_owned()]));
        assert_eq!(adapters_of(b"nonsense", "m"), None);
    }
}
