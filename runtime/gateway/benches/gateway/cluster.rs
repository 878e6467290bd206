//! What stands around the gateway: certificates, a model pod, an API server, nginx.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
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
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::authority::Authority;

pub(crate) const KEY: &str = "alc_0123456789012345678901234567890123456789012";
/// Events of one stream.
const EVENTS: usize = 2000;

type Body = BoxBody<Bytes, Infallible>;

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// What runs in this process until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// A pod that answers at once: what is measured is what lies before it.
pub(crate) async fn start_pod(authority: &Authority) -> Server {
    let (listener, address) = bind().await;
    let acceptor = authority.acceptor("pod");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                stream.set_nodelay(true).expect("an option");
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(async |request: Request<Incoming>| {
                    let body = request.into_body().collect().await.expect("a body").to_bytes();
                    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
                    Ok::<_, Infallible>(if asked["stream"] == true { events() } else { whole() })
                });
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Server { address, _tasks: tasks }
}

fn whole() -> Response<Body> {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120});
    let message = json!({"role": "assistant", "content": "The sea is wide. ".repeat(10)});
    let body = json!({"object": "chat.completion", "choices": [{"index": 0, "message": message}], "usage": usage});
    let response = Response::builder().header("content-type", "application/json");
    response.body(Full::new(Bytes::from(body.to_string())).boxed()).expect("a response")
}

/// One event after another, each a chunk of its own, as the runtime sends them.
fn events() -> Response<Body> {
    let chunk = json!({
        "id": "chatcmpl-0123456789", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "assistant",
        "choices": [{"index": 0, "delta": {"content": " sea"}, "logprobs": null, "finish_reason": null}], "usage": null,
    });
    let event = Bytes::from(format!("data: {chunk}\n\n"));
    let events = stream::unfold(0_usize, move |n| {
        let event = event.clone();
        async move {
            // As a model's thread would, a token at a time.
            tokio::task::yield_now().await;
            (n < EVENTS).then(|| (Ok(Frame::data(event)), n + 1))
        }
    });
    let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
    response.body(BodyExt::boxed(StreamBody::new(events))).expect("a response")
}

/// Lists one key, one deployment and its endpoint, and never tells of a change.
pub(crate) async fn start_api(pod: SocketAddr) -> Server {
    let (listener, address) = bind().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            connections.spawn(async move {
                let service =
                    service_fn(
                        move |request: Request<Incoming>| async move { Ok::<_, Infallible>(api(&request, pod)) },
                    );
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Server { address, _tasks: tasks }
}

fn api(request: &Request<Incoming>, pod: SocketAddr) -> Response<Body> {
    let response = Response::builder().header("content-type", "application/json");
    if request.uri().query().is_some_and(|query| query.contains("watch=")) {
        let silence = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        return response.body(BodyExt::boxed(StreamBody::new(SendSync(silence)))).expect("a response");
    }
    let hash: String = Sha256::digest(KEY).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let meta = |name: &str| json!({"namespace": "team-a", "name": name, "resourceVersion": "1", "uid": name});
    let mut key = json!({"metadata": meta("ana"), "spec": {"owner": "ana", "hash": hash}});
    if request.method() == Method::PATCH {
        (key["apiVersion"], key["kind"]) = ("alcazar.dev/v1alpha1".into(), "LlmApiKey".into());
        return response.body(Full::new(Bytes::from(key.to_string())).boxed()).expect("a response");
    }
    let (version, kind, item) = match request.uri().path().rsplit('/').next() {
        Some("llmapikeys") => ("alcazar.dev/v1alpha1", "LlmApiKey", key),
        Some("llmdeployments") => (
            "alcazar.dev/v1alpha1",
            "LlmDeployment",
            json!({"metadata": meta("assistant"), "spec": {"modelName": "m"}}),
        ),
        Some("endpointslices") => {
            let labels = json!({"kubernetes.io/service-name": "assistant", "alcazar.dev/deployment": "assistant"});
            let mut meta = meta("assistant-x");
            meta["labels"] = labels;
            let endpoints = json!([{"addresses": [pod.ip().to_string()], "conditions": {"ready": true}}]);
            let ports = json!([{"name": "https", "port": pod.port()}]);
            (
                "discovery.k8s.io/v1",
                "EndpointSlice",
                json!({"metadata": meta, "addressType": "IPv4", "ports": ports, "endpoints": endpoints}),
            )
        }
        _ => ("v1", "Status", json!({})),
    };
    let mut item = item;
    item["apiVersion"] = version.into();
    item["kind"] = kind.into();
    let list = json!({"apiVersion": version, "kind": format!("{kind}List"), "metadata": {"resourceVersion": "1"}, "items": [item]});
    response.body(Full::new(Bytes::from(list.to_string())).boxed()).expect("a response")
}

/// A stream that says nothing, whoever looks at it.
struct SendSync<S>(S);

impl<S: futures::Stream + Unpin> futures::Stream for SendSync<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        std::pin::Pin::new(&mut self.0).poll_next(cx)
    }
}

/// A process that ends with the bench.
pub(crate) struct Proxy {
    child: Child,
    /// The one that does the work.
    pid: u32,
}

impl Proxy {
    /// What it and its workers used so far; the kernel counts in ticks of ten milliseconds.
    pub(crate) fn cpu_time(&self) -> Duration {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ticks = processes.filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // After the name, which may hold anything: state, parent, and from the twelfth on user and system time.
            let fields: Vec<u64> =
                stat.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
            (pid == self.pid || fields.get(1) == Some(&self.pid.into()))
                .then(|| fields.get(11..13).map(|times| times.iter().sum::<u64>()))?
        });
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// Memory that it really holds.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn free_port() -> SocketAddr {
    bind().await.1
}

async fn until_open(address: SocketAddr) {
    for _ in 0..200 {
        if TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("{address} should be open by now");
}

/// The program as it ships.
pub(crate) async fn start_gateway(authority: &Authority, api: SocketAddr, protocol: &str) -> (SocketAddr, Proxy) {
    let dir = authority.dir.path();
    let (listen, probe, peers) = (free_port().await, free_port().await, free_port().await);
    let at = |name: &str| dir.join(name).display().to_string();
    let settings = json!({
        "listen": listen, "probeListen": probe, "peerListen": peers, "tlsDir": at("tls"), "clientDir": at("client"),
        "upstream": {"protocol": protocol}, "audit": {"file": at(&format!("audit-{protocol}.log"))},
    });
    let file = dir.join(format!("settings-{protocol}.yaml"));
    fs::write(&file, settings.to_string()).expect("a file");
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://{api}")}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    });
    let config = dir.join("kubeconfig");
    fs::write(&config, kubeconfig.to_string()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_alcazar-gateway"));
    command.args(["run", "--settings"]).arg(&file).args(["--log-level", "warn"]).env("KUBECONFIG", &config);
    let child = command.spawn().expect("the gateway should start");
    until_open(listen).await;
    // The first lists take a moment.
    tokio::time::sleep(Duration::from_secs(1)).await;
    (listen, Proxy { pid: child.id(), child })
}

/// nginx as a plain proxy with the same certificates, without buffering.
pub(crate) async fn start_nginx(authority: &Authority, pod: SocketAddr, program: &str) -> (SocketAddr, Proxy) {
    let (dir, listen): (PathBuf, _) = (authority.dir.path().into(), free_port().await);
    let path = dir.display();
    let config = format!(
        "daemon off; worker_processes 2; pid {path}/nginx.pid; error_log {path}/nginx.log;
         events {{ worker_connections 4096; }}
         http {{
           access_log off; keepalive_requests 1000000; client_body_temp_path {path}/b; proxy_temp_path {path}/p;
           fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;
           upstream pods {{ server {pod}; keepalive 64; keepalive_requests 1000000; }}
           server {{
             listen {listen} ssl; ssl_certificate {path}/tls/tls.crt; ssl_certificate_key {path}/tls/tls.key;
             location / {{
               proxy_pass https://pods; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off;
               proxy_ssl_certificate {path}/client/tls.crt; proxy_ssl_certificate_key {path}/client/tls.key;
               proxy_ssl_trusted_certificate {path}/client/ca.crt; proxy_ssl_verify on;
               proxy_ssl_name assistant.team-a.svc; proxy_ssl_server_name on;
             }}
           }}
         }}"
    );
    fs::write(dir.join("nginx.conf"), config).expect("a file");
    let mut command = Command::new(program);
    command.arg("-e").arg(dir.join("nginx.log")).arg("-c").arg(dir.join("nginx.conf")).arg("-p").arg(&dir);
    let child = command.stderr(Stdio::null()).spawn().expect("nginx should start");
    until_open(listen).await;
    (listen, Proxy { pid: child.id(), child })
}
