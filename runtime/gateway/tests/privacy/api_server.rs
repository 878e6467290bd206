//! Something that speaks like an API server: lists once, never tells of a change, and keeps what is written to it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinSet};

use crate::canary::CANARY;

/// Keys of this test, by name; all of them hold the canary.
pub(crate) fn key(name: &str) -> String {
    format!("alc_{:A<43}", format!("{CANARY}{name}"))
}

/// What the gateway wrote into objects.
pub(crate) type Written = Arc<Mutex<Vec<u8>>>;

pub(crate) async fn start(pod: SocketAddr, broken: SocketAddr, tasks: &mut JoinSet<()>) -> (SocketAddr, Written) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let written = Written::default();
    let kept = Arc::clone(&written);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let written = Arc::clone(&kept);
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let written = Arc::clone(&written);
                    async move { Ok::<_, Infallible>(answer(request, [pod, broken], &written).await) }
                });
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, written)
}

async fn answer(request: Request<Incoming>, pods: [SocketAddr; 2], written: &Written) -> Response<Full<Bytes>> {
    if request.uri().query().is_some_and(|query| query.contains("watch=")) {
        return std::future::pending().await;
    }
    let kind = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    if request.method() == "PATCH" {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        written.lock().unwrap().extend(body.iter());
        return json_of(&api_key("ana", &json!({})));
    }
    let items = match kind.as_str() {
        "llmapikeys" => vec![
            api_key("ana", &json!({})),
            api_key("bob", &json!({"limits": {"requestsPerMinute": 1}})),
            api_key("zoe", &json!({"state": "Revoked"})),
        ],
        "llmdeployments" => vec![
            deployment("assistant", &json!({})),
            deployment("broken", &json!({})),
            deployment("asleep", &json!({"state": "Suspended"})),
            deployment("late", &json!({})),
        ],
        _ => vec![slice("assistant", pods[0]), slice("broken", pods[1])],
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items});
    json_of(&list)
}

fn json_of(value: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().header("content-type", "application/json");
    response.body(Full::new(Bytes::from(value.to_string()))).unwrap()
}

fn object(version: &str, kind: &str, name: &str) -> Value {
    let meta = json!({"namespace": "team-a", "name": name, "resourceVersion": "1", "uid": name});
    json!({"apiVersion": version, "kind": kind, "metadata": meta})
}

fn api_key(name: &str, more: &Value) -> Value {
    let hash = format!("{:x}", Sha256::digest(key(name)));
    let mut object = object("alcazar.dev/v1alpha1", "LlmApiKey", name);
    object["spec"] = json!({"owner": name, "hash": hash});
    object["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn deployment(name: &str, more: &Value) -> Value {
    let mut object = object("alcazar.dev/v1alpha1", "LlmDeployment", name);
    object["spec"] = json!({"modelName": "m"});
    object["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn slice(name: &str, pod: SocketAddr) -> Value {
    let mut object = object("discovery.k8s.io/v1", "EndpointSlice", name);
    object["metadata"]["labels"] = json!({"kubernetes.io/service-name": name, "alcazar.dev/deployment": name});
    object["addressType"] = "IPv4".into();
    object["ports"] = json!([{"name": "https", "port": pod.port()}]);
    object["endpoints"] = json!([{"addresses": [pod.ip().to_string()], "conditions": {"ready": true}}]);
    object
}
