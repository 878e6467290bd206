//! Names that change their answer while a fetch runs. An address of this machine that is allowed stands for the public one,
//! since no test asks the internet; its neighbour is as private as any.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use alcazar_store::{Fetch, Lookup, Progress};
use axum::serve::Listener;
use futures::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls, server::TlsStream};

use crate::{
    bench::{Bench, model},
    hub::Hub,
};

const NAME: &str = "weights.example.com";
const PUBLIC: &str = "127.0.0.1";
const INSIDE: &str = "127.0.0.2";

/// One answer after the other; the last one again and again.
#[derive(Debug)]
struct Answers {
    turns: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Answers {
    fn new(turns: &[&[&str]]) -> Arc<Self> {
        let parse = |turn: &&[&str]| turn.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self { turns: Mutex::new(turns.iter().map(parse).collect()), asked: AtomicUsize::new(0) })
    }
}

impl Lookup for Answers {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        assert_eq!(host, NAME);
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut turns = self.turns.lock().unwrap();
        let turn = if turns.len() > 1 { turns.pop_front().unwrap() } else { turns[0].clone() };
        Box::pin(async move { Ok(turn.into_iter().map(|address| SocketAddr::new(address, 0)).collect()) })
    }
}

/// Accepts TLS connections.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A certificate authority in PEM, and a server of its own with the name.
fn certificates() -> (String, TlsAcceptor) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(params, ca_key)).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())
        .unwrap();
    (ca.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// A hub of that name on the public address, and what must not be reached: the same port of the other one.
struct World {
    bench: Bench,
    job: Fetch,
    entered: Arc<AtomicUsize>,
    _inside: JoinSet<()>,
}

impl World {
    async fn new(answers: &Arc<Answers>) -> Self {
        let (ca, acceptor) = certificates();
        let listener = TcpListener::bind((PUBLIC, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (inside, entered) = (TcpListener::bind((INSIDE, port)).await.unwrap(), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&entered);
        tasks.spawn(async move {
            while inside.accept().await.is_ok() {
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        let base = format!("https://{NAME}:{port}");
        let hub = Hub::start_on(Tls { listener, acceptor }, base, &[("model.gguf", &model(200_000))]).await;
        let bench = Bench { hub, volume: tempfile::tempdir().unwrap(), progress: Progress::default() };
        let ca_file = bench.volume.path().join("..").join(format!("rebinding-{port}.pem"));
        std::fs::write(&ca_file, ca).unwrap();
        let lookup = Arc::clone(answers) as Arc<dyn Lookup>;
        let job = Fetch { ca_file: Some(ca_file), lookup, allow_hosts: vec![PUBLIC.to_owned()], ..bench.job() };
        Self { bench, job, entered, _inside: tasks }
    }

    async fn assert_refused(&self, address: &str) {
        let error = self.bench.run(&self.job).await.unwrap_err();
        assert_eq!(error.reason().as_str(), "SourceNotAllowed", "{error}");
        assert!(error.to_string().contains(address), "{error}");
        assert_eq!(self.entered.load(Ordering::Relaxed), 0, "a connection was opened to the inside");
        self.bench.assert_nothing_sealed();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.job.ca_file.as_ref().map(std::fs::remove_file);
    }
}

#[tokio::test]
async fn each_connection_asks_again_and_goes_where_the_answer_says() {
    let answers = Answers::new(&[&[PUBLIC]]);
    let world = World::new(&answers).await;
    let facts = world.bench.run(&world.job).await.unwrap();
    world.bench.assert_sealed(&facts, "model.gguf", &model(200_000));
    assert!(answers.asked.load(Ordering::Relaxed) > 1, "or the other tests would show nothing");
}

#[tokio::test]
async fn a_name_that_turns_inside_after_the_first_answer_is_not_followed() {
    for inside in [INSIDE, "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254"] {
        let answers = Answers::new(&[&[PUBLIC], &[inside]]);
        let world = World::new(&answers).await;
        world.assert_refused(inside).await;
        assert!(world.bench.hub.n_seen("listing") > 0, "the first answer was a good one");
    }
}

#[tokio::test]
async fn an_answer_with_an_inside_address_among_public_ones_is_refused_whole() {
    for mixed in [&[PUBLIC, INSIDE][..], &[INSIDE, PUBLIC], &["::ffff:10.0.0.1", PUBLIC]] {
        let answers = Answers::new(&[mixed]);
        let world = World::new(&answers).await;
        world.assert_refused(if mixed.contains(&INSIDE) { INSIDE } else { "10.0.0.1" }).await;
        assert_eq!(world.bench.hub.n_seen("listing"), 0, "not even the public one is asked");
    }
}

/// Allowed by name, it may be private; the metadata service of a cloud it may not be.
#[tokio::test]
async fn a_name_that_the_settings_allow_does_not_turn_into_the_metadata_service() {
    let answers = Answers::new(&[&[PUBLIC], &["169.254.169.254"]]);
    let mut world = World::new(&answers).await;
    world.job.allow_hosts = vec![NAME.to_owned()];
    world.assert_refused("169.254.169.254").await;
}
