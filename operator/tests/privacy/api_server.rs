//! Something that speaks like an API server: keeps objects, lists them once, never tells of a change.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// The objects by their path, and what was written.
#[derive(Default)]
pub(crate) struct ApiServer {
    objects: Mutex<BTreeMap<String, Value>>,
    /// Path and body.
    pub(crate) written: Mutex<Vec<(String, String)>>,
}

impl ApiServer {
    /// At the collection's path: `/api/v1/namespaces/team-a/secrets`.
    pub(crate) fn has(&self, collection: &str, name: &str, mut object: Value) {
        let (version, namespace) = collection.split_once("/namespaces/").unwrap();
        object["apiVersion"] = version.trim_start_matches("/apis/").trim_start_matches("/api/").into();
        let namespace = namespace.split('/').next().unwrap();
        let meta = json!({"name": name, "namespace": namespace, "uid": name, "resourceVersion": "1", "generation": 1,
            "creationTimestamp": "2026-11-24T00:00:00Z"});
        merge(&mut object, &json!({"metadata": meta}));
        self.objects.lock().unwrap().insert(format!("{collection}/{name}"), object);
    }

    /// Whether the status of an object was written.
    pub(crate) fn has_status(&self, name: &str) -> bool {
        self.written.lock().unwrap().iter().any(|(path, _)| path.ends_with(&format!("/{name}/status")))
    }

    pub(crate) async fn serve(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, server) = (listener.local_addr().unwrap(), Arc::clone(self));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let server = Arc::clone(&server);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let server = Arc::clone(&server);
                        async move { Ok::<_, Infallible>(server.answer(request).await) }
                    });
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        address
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
            return std::future::pending().await;
        }
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if head.method == Method::GET {
            return self.read(path);
        }
        let body = body.collect().await.unwrap().to_bytes();
        self.written.lock().unwrap().push((path.to_owned(), String::from_utf8_lossy(&body).into_owned()));
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.write(&head.method, path.trim_end_matches("/status"), &sent)
    }

    fn read(&self, path: &str) -> Response<Full<Bytes>> {
        let objects = self.objects.lock().unwrap();
        if let Some(object) = objects.get(path) {
            return told(200, object);
        }
        let of = path.rsplit_once('/').map_or("", |(_, last)| last);
        // A collection has a plural; names in this test have none.
        if !of.ends_with('s') {
            return told(404, &json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}));
        }
        let beneath = |key: &&String| key.rsplit_once('/').is_some_and(|(collection, _)| collection == path);
        let items: Vec<_> = objects.keys().filter(beneath).map(|key| objects[key].clone()).collect();
        told(200, &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}))
    }

    fn write(&self, method: &Method, path: &str, sent: &Value) -> Response<Full<Bytes>> {
        let mut objects = self.objects.lock().unwrap();
        if method == Method::DELETE {
            objects.remove(path);
            return told(200, &json!({"kind": "Status", "status": "Success"}));
        }
        let path = match sent["metadata"]["name"].as_str() {
            Some(name) if method == Method::POST => format!("{path}/{name}"),
            _ => path.to_owned(),
        };
        let object = objects.entry(path.clone()).or_insert_with(|| json!({"metadata": {"uid": path}}));
        merge(object, sent);
        object["metadata"]["resourceVersion"] = "2".into();
        told(200, object)
    }
}

fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

fn told(status: u16, value: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(Bytes::from(value.to_string()))).unwrap()
}
