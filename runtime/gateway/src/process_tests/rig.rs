//! What the tests of this folder are made of.

mod authority;
mod pod;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

pub(super) use self::{
    authority::Authority,
    pod::{Mode, Pod},
};
use crate::{
    audit::log::AuditLog,
    gateway::{Gateway, Load},
    key::{Hash, Key, Name, Spent},
    listen::{self, Port, crowd::Crowd},
    metrics::Metrics,
    quota::{Limits, desk::Desk, owner::Peer, peer},
    run::serve_public,
    settings::{Audit, Hold, Limits as Bounds, Protocol, Upstream},
    tls::{self, Identity, Serving},
    upstream::fleet::Fleet,
    world::{Model, World},
};

/// Sooner than in a cluster.
const RELOAD_EVERY: Duration = Duration::from_millis(20);
pub(super) const KEY: &str = "alc_0123456789012345678901234567890123456789012";

/// Settings that tests change.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) hold: Hold,
    pub(super) bounds: Bounds,
    pub(super) audit: Audit,
    pub(super) upstream: Upstream,
    pub(super) name: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        let (upstream, name) = (Upstream::default(), "gateway-0");
        Self {
            hold: Hold { seconds: 10, requests: 10 },
            bounds: Bounds::default(),
            audit: Audit::default(),
            upstream,
            name,
        }
    }
}

/// A running gateway.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) peer: Peer,
    pub(super) gateway: Arc<Gateway>,
    pub(super) desk: Arc<Desk>,
    pub(super) world: watch::Sender<Arc<World>>,
    pub(super) crowd: Arc<Crowd>,
    pub(super) close: CancellationToken,
    pub(super) tasks: JoinSet<()>,
}

impl Running {
    pub(super) async fn start(authority: &Authority, options: Options) -> Self {
        let (public, peers) = (bind().await, bind().await);
        let address = public.local_addr().expect("an address");
        let peer = Peer { name: options.name.into(), address: peers.local_addr().expect("an address") };
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let protocol = options.upstream.protocol;
        let identity = Identity::open(&authority.path("client"), protocol).expect("sound files");
        let (world, seen) = watch::channel(Arc::new(World::default()));
        let fleet = Fleet::new(Arc::clone(&identity), Duration::from_secs(options.upstream.answer_seconds));
        let answer_time = Duration::from_millis(500);
        let desk = Desk::new(options.name.into(), answer_time, seen.clone(), Arc::clone(&fleet), Arc::clone(&metrics));
        let audit = if options.audit.file.as_os_str().is_empty() {
            Audit { file: authority.path("audit.log"), ..options.audit }
        } else {
            options.audit
        };
        let (audit, _) = AuditLog::open(&audit).expect("a file");
        let gateway = Arc::new(Gateway {
            world: seen,
            fleet,
            desk: Arc::clone(&desk),
            audit,
            metrics,
            hold: options.hold,
            upstream: options.upstream,
            limits: options.bounds,
            load: Load::new(&options.bounds),
        });
        let serving = Serving::open(&authority.path("tls")).expect("sound files");
        let acceptor = serving.acceptor().expect("an acceptor");
        let (crowd, close, mut tasks) =
            (Crowd::new(options.bounds.max_connections), CancellationToken::new(), JoinSet::new());
        let limits = options.bounds;
        let port = Port { acceptor: move || acceptor.clone(), limits, crowd: Arc::clone(&crowd), close: close.clone() };
        tasks.spawn(serve_public(public, port, Arc::clone(&gateway)));
        let fresh = (Arc::clone(&serving), Arc::clone(&identity));
        tasks.spawn(async move { tls::keep_fresh(&fresh.0, &fresh.1, RELOAD_EVERY).await });
        let port = Port { acceptor: move || identity.acceptor(), limits, crowd: Crowd::new(64), close: close.clone() };
        let of_peers = Arc::clone(&desk);
        tasks.spawn(listen::serve(peers, port, move |seat, request| peer::serve(Arc::clone(&of_peers), seat, request)));
        Self { address, peer, gateway, desk, world, crowd, close, tasks }
    }

    /// Replaces what is known of the cluster.
    pub(super) fn knows(&self, keys: Vec<Key>, models: Vec<Model>, peers: Vec<Peer>) {
        self.world.send_replace(Arc::new(World::new(keys, models, peers)));
    }

    pub(super) async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

pub(super) fn key() -> Key {
    Key {
        name: Name::new("team-a", "ana"),
        hash: Hash::of(KEY),
        models: Vec::new(),
        limits: Limits::default(),
        expires_at: None,
        is_revoked: false,
        spent: Spent::default(),
    }
}

pub(super) fn model(pods: &[&Pod]) -> Model {
    let endpoints = pods.iter().map(|pod| pod.address).collect();
    Model { name: "assistant".into(), namespace: "team-a".into(), endpoints, ..Model::default() }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Got {
    pub(super) fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A TLS connection to a gateway.
pub(super) async fn connect(authority: &Path, address: SocketAddr) -> TlsStream<TcpStream> {
    connect_for(Protocol::Http1, authority, address).await
}

pub(super) async fn connect_for(protocol: Protocol, authority: &Path, address: SocketAddr) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(authority.join("client/ca.crt")).expect("PEM") {
        roots.add(root.expect("a certificate")).expect("a root");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![if protocol == Protocol::Http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("gateway.test").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// Sends a request and reads the head of its answer; the connection lives in the set.
pub(super) async fn begin(
    authority: &Authority,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> (Response<Incoming>, JoinSet<()>) {
    let stream = connect(authority.dir.path(), address).await;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    (sender.send_request(request).await.expect("an answer"), tasks)
}

pub(super) async fn send(authority: &Authority, address: SocketAddr, request: Request<Full<Bytes>>) -> Got {
    let (response, _connection) = begin(authority, address, request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Got { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

pub(super) fn post(path: &str, key: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::post(path).header("host", "gateway.test").header("content-type", "application/json");
    let request = if key.is_empty() { request } else { request.header("authorization", format!("Bearer {key}")) };
    request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request")
}

pub(super) fn get(path: &str, key: &str) -> Request<Full<Bytes>> {
    let request = Request::get(path).header("host", "gateway.test").header("authorization", format!("Bearer {key}"));
    request.body(Full::default()).expect("a request")
}

pub(super) fn chat() -> Request<Full<Bytes>> {
    post("/v1/chat/completions", KEY, r#"{"model":"assistant","messages":[{"role":"user","content":"hello"}]}"#)
}

pub(super) fn chat_stream() -> Request<Full<Bytes>> {
    post(
        "/v1/chat/completions",
        KEY,
        r#"{"model":"assistant","stream":true,"messages":[{"role":"user","content":"hello"}]}"#,
    )
}

/// Waits for what other tasks do.
pub(super) async fn until(holds: impl Fn() -> bool) {
    let held = tokio::time::timeout(Duration::from_secs(10), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    held.await.expect("it should come true within ten seconds");
}
