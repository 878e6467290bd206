//! Against something that speaks like an API server: lists, watches, and patches of status.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::rig::{Authority, KEY, Options, Pod, Running, chat, model, send, until};
use crate::{
    key::{Hash, Name},
    metrics::Metrics,
    usage,
    watch::Cluster,
    world::{World, build::Own},
};

type Body = BoxBody<Bytes, Infallible>;

#[derive(Default)]
struct Api {
    items: HashMap<&'static str, Vec<Value>>,
    watches: Mutex<HashMap<String, mpsc::UnboundedSender<Value>>>,
    patches: Mutex<Vec<(String, Value)>>,
}

impl Api {
    /// Tells a watch, once there is one.
    async fn tell(&self, plural: &str, event: &str, object: &Value) {
        let watch = || self.watches.lock().expect("not poisoned").get(plural).cloned();
        until(|| watch().is_some_and(|watch| !watch.is_closed())).await;
        watch().expect("a watch").send(json!({"type": event, "object": object})).expect("it should be open");
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        if request.method() == Method::PATCH {
            let body = request.into_body().collect().await.expect("a body").to_bytes();
            let sent: Value = serde_json::from_slice(&body).expect("JSON");
            self.patches.lock().expect("not poisoned").push((format!("{path}?{query}"), sent));
            return whole(&key("ana", "Active"));
        }
        let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
        if !query.contains("watch=true") {
            let items = self.items.get(plural.as_str()).cloned().unwrap_or_default();
            return whole(&json!({"metadata": {"resourceVersion": "1"}, "items": items}));
        }
        let (sender, receiver) = mpsc::unbounded_channel::<Value>();
        self.watches.lock().expect("not poisoned").insert(plural, sender);
        let lines = stream::unfold(receiver, async |mut receiver| {
            let event = receiver.recv().await?;
            Some((Ok(Frame::data(Bytes::from(format!("{event}\n")))), receiver))
        });
        Response::new(BodyExt::boxed(StreamBody::new(lines)))
    }
}

fn whole(value: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())).boxed());
    response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    response
}

fn key(name: &str, state: &str) -> Value {
    use sha2::Digest as _;
    let hash = crate::audit::chain::hex(&sha2::Sha256::digest(KEY));
    json!({
        "apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmApiKey",
        "metadata": {"namespace": "team-a", "name": name, "uid": name, "resourceVersion": "2"},
        "spec": {"owner": "ana", "hash": hash, "state": state},
    })
}

async fn start(api: Arc<Api>, tasks: &mut JoinSet<()>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let api = Arc::clone(&api);
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let api = Arc::clone(&api);
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let config = Config::new(format!("http://{address}").parse().expect("an address"));
    Client::try_from(config).expect("a client")
}

#[tokio::test]
async fn the_world_follows_the_cluster() {
    let unreadable = json!({"apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmApiKey",
        "metadata": {"namespace": "team-a", "name": "odd", "resourceVersion": "1"}, "spec": {"owner": 7}});
    let items = HashMap::from([("llmapikeys", vec![unreadable, key("ana", "Active")])]);
    let api = Arc::new(Api { items, ..Api::default() });
    let mut tasks = JoinSet::new();
    let client = start(Arc::clone(&api), &mut tasks).await;
    let cluster = Cluster::new(Own::default(), Arc::new(Metrics::new().expect("metrics")));
    let (worlds, world) = watch::channel(Arc::new(World::default()));
    cluster.start(&client, &[], &mut tasks);
    let builder = Arc::clone(&cluster);
    tasks.spawn(async move { builder.build(&worlds).await });
    until(|| cluster.is_synced.load(Ordering::Relaxed)).await;
    let is_open = || world.borrow().key(&Hash::of(KEY)).is_some_and(|key| !key.is_revoked);
    assert!(is_open(), "one object that cannot be read should not hide the others");
    let began = Instant::now();
    api.tell("llmapikeys", "MODIFIED", &key("ana", "Revoked")).await;
    until(|| !is_open()).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    api.tell("llmapikeys", "MODIFIED", &key("ana", "Active")).await;
    until(is_open).await;
    api.tell("llmapikeys", "DELETED", &key("ana", "Active")).await;
    until(|| world.borrow().key(&Hash::of(KEY)).is_none()).await;
}

#[tokio::test]
async fn what_a_key_used_is_written_into_its_status() {
    let (api, mut tasks) = (Arc::new(Api::default()), JoinSet::new());
    let client = start(Arc::clone(&api), &mut tasks).await;
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let running = Running::start(&authority, Options::default()).await;
    running.knows(vec![super::rig::key()], vec![model(&[&pod])], Vec::new());
    assert_eq!(send(&authority, running.address, chat()).await.status, 200);
    until(|| running.gateway.metrics.in_flight.get() == 0).await;
    usage::write(&client, &running.desk, usage::PAUSE).await;
    usage::write(&client, &running.desk, usage::PAUSE).await;
    let patches = api.patches.lock().expect("not poisoned").clone();
    assert_eq!(patches.len(), 1, "once in ten seconds: {patches:?}");
    let (path, sent) = &patches[0];
    let expected = "/apis/alcazar.dev/v1alpha1/namespaces/team-a/llmapikeys/ana/status?&fieldManager=alcazar-gateway";
    assert_eq!(path.replace("?&", "?"), expected.replace("?&", "?"));
    let usage = &sent["status"]["usage"];
    assert_eq!(
        (&usage["requests"], &usage["promptTokens"], &usage["completionTokens"]),
        (&1.into(), &3.into(), &4.into())
    );
    assert_eq!(usage["tokensToday"], 7);
    assert!(sent["status"]["lastUsedTime"].as_str().is_some_and(|time| time.ends_with('Z')));
    assert_eq!(sent["status"].as_object().expect("an object").len(), 2, "nothing else is the gateway's to write");
    assert!(running.world.borrow().key_named(&Name::new("team-a", "ana")).is_some());
}
