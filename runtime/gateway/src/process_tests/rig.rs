//! What the tests of this folder are made of.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::CONTENT_TYPE,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{
    audit::log::AuditLog,
    gateway::{Gateway, Parts},
    key::{Hash, Key, Name, Spent},
    listen::{self, Port, crowd::Crowd},
    metrics::Metrics,
    quota::{Limits, desk::Desk, owner::Peer, peer},
    run::serve_public,
    settings::{Audit, Hold, Limits as Bounds, Protocol, Upstream},
    tls::{Identity, Serving},
    upstream::fleet::Fleet,
    world::{Model, World},
};

pub(super) const KEY: &str = "alc_0123456789012345678901234567890123456789012";

/// A CA and what it signed, in files.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
    pub(super) dir: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = params.self_signed(&key).expect("a certificate").pem();
        let dir = tempfile::tempdir().expect("a directory");
        let authority = Self { issuer: Issuer::new(params, key), ca_pem, dir };
        let both = [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        authority.leaf("client", "alcazar-gateway", &both);
        authority.leaf("tls", "gateway.test", &both[1..]);
        authority.leaf("pod", "assistant.team-a.svc", &both[1..]);
        authority.leaf("foreign", "other.team-b.svc", &both[1..]);
        authority
    }

    /// Writes the three files of a Secret.
    pub(super) fn leaf(&self, name: &str, dns: &str, usages: &[ExtendedKeyUsagePurpose]) {
        let dir = self.dir.path().join(name);
        fs::create_dir_all(&dir).expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![dns.to_owned()]).expect("a name");
        params.extended_key_usages = usages.to_vec();
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(dir.join("tls.crt"), leaf.pem()).expect("it should be written");
        fs::write(dir.join("tls.key"), key.serialize_pem()).expect("it should be written");
        fs::write(dir.join("ca.crt"), &self.ca_pem).expect("it should be written");
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn identity(&self, name: &str) -> Arc<Identity> {
        Identity::open(&self.path(name), Protocol::Http2).expect("sound files")
    }
}

/// What a pod does with a request.
#[derive(Clone)]
pub(super) enum Mode {
    /// Repeats the model's name and tells of 3 and 4 tokens.
    Answer,
    /// A status and an error code.
    Refuse(u16, &'static str),
    /// Events, as [`Pod::say`] gives them.
    Stream,
    Hang,
}

/// A request as a pod saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A fake model pod.
pub(super) struct Pod {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    mode: Arc<Mutex<Mode>>,
    speaker: Arc<Mutex<Option<mpsc::UnboundedSender<Bytes>>>>,
    tasks: JoinSet<()>,
}

impl Pod {
    pub(super) async fn start(authority: &Authority, certificate: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, mode, speaker) = (Arc::default(), Arc::new(Mutex::new(Mode::Answer)), Arc::default());
        let acceptor = authority.identity(certificate).acceptor();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_pod(listener, acceptor, Arc::clone(&seen), Arc::clone(&mode), Arc::clone(&speaker)));
        Self { address, seen, mode, speaker, tasks }
    }

    pub(super) fn does(&self, mode: Mode) {
        *self.mode.lock().expect("not poisoned") = mode;
    }

    pub(super) fn requests(&self) -> usize {
        self.seen.lock().expect("not poisoned").len()
    }

    fn speaker(&self) -> Option<mpsc::UnboundedSender<Bytes>> {
        self.speaker.lock().expect("not poisoned").clone()
    }

    /// Sends an event of the running stream.
    pub(super) async fn say(&self, event: &str) {
        until(|| self.speaker().is_some()).await;
        let speaker = self.speaker().expect("a stream runs");
        speaker.send(Bytes::from(event.to_owned())).expect("the stream should run");
    }

    /// Ends the stream.
    pub(super) fn finish(&self) {
        *self.speaker.lock().expect("not poisoned") = None;
    }

    /// Whether nobody listens to the stream any more.
    pub(super) fn is_left(&self) -> bool {
        self.speaker().is_some_and(|speaker| speaker.is_closed())
    }

    /// As if the process were killed.
    pub(super) async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }
}

type PodBody = BoxBody<Bytes, std::convert::Infallible>;
type Shared<T> = Arc<Mutex<T>>;

async fn serve_pod(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    seen: Shared<Vec<Seen>>,
    mode: Shared<Mode>,
    speaker: Shared<Option<mpsc::UnboundedSender<Bytes>>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (acceptor, seen, mode, speaker) =
            (acceptor.clone(), Arc::clone(&seen), Arc::clone(&mode), Arc::clone(&speaker));
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request: Request<Incoming>| {
                let (seen, mode, speaker) = (Arc::clone(&seen), Arc::clone(&mode), Arc::clone(&speaker));
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.expect("a body").to_bytes();
                    let (path, headers) = (head.uri.path().to_owned(), head.headers);
                    seen.lock().expect("not poisoned").push(Seen { path, headers, body: body.clone() });
                    let mode = mode.lock().expect("not poisoned").clone();
                    Ok::<_, std::convert::Infallible>(act(mode, &body, &speaker).await)
                }
            });
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn act(mode: Mode, body: &Bytes, speaker: &Shared<Option<mpsc::UnboundedSender<Bytes>>>) -> Response<PodBody> {
    let whole = |status: u16, value: Value| {
        let mut response = Response::new(Full::new(Bytes::from(value.to_string())).boxed());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a value"));
        response
    };
    match mode {
        Mode::Answer => {
            let asked: Value = serde_json::from_slice(body).unwrap_or_default();
            let usage = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
            whole(200, json!({"model": asked["model"], "choices": [], "usage": usage}))
        }
        Mode::Refuse(status, code) => whole(status, json!({"error": {"message": "no", "code": code}})),
        Mode::Hang => std::future::pending().await,
        Mode::Stream => {
            let (sender, receiver) = mpsc::unbounded_channel();
            *speaker.lock().expect("not poisoned") = Some(sender);
            let events = stream::unfold(receiver, async |mut receiver| {
                let event = receiver.recv().await?;
                Some((Ok(Frame::data(event)), receiver))
            });
            let mut response = Response::new(BodyExt::boxed(StreamBody::new(events)));
            response.headers_mut().insert(CONTENT_TYPE, "text/event-stream; charset=utf-8".parse().expect("a value"));
            response
        }
    }
}

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
        let gateway = Gateway::new(Parts {
            world: seen,
            fleet,
            desk: Arc::clone(&desk),
            audit,
            metrics,
            hold: options.hold,
            upstream: options.upstream,
            limits: options.bounds,
        });
        let serving = Serving::open(&authority.path("tls")).expect("sound files");
        let acceptor = serving.acceptor().expect("an acceptor");
        let (crowd, close, mut tasks) =
            (Crowd::new(options.bounds.max_connections), CancellationToken::new(), JoinSet::new());
        let limits = options.bounds;
        let port = Port { acceptor: move || acceptor.clone(), limits, crowd: Arc::clone(&crowd), close: close.clone() };
        tasks.spawn(serve_public(public, port, Arc::clone(&gateway)));
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
    let identity = Identity::open(&authority.join("client"), Protocol::Http1).expect("sound files");
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("gateway.test").expect("a name");
    TlsConnector::from(identity.client()).connect(name, stream).await.expect("a handshake")
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
