//! A model port that answers the gateway alone: who is refused, and authorities that change under load.

use std::{
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{Router, routing::get};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose as Usage, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{cli::Clients, listen};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("authority")
}

struct Leaf {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn leaf(ca: &Ca, names: &[&str], usages: &[Usage]) -> Leaf {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.extended_key_usages = usages.to_vec();
    let key = KeyPair::generate().expect("key");
    Leaf { certificate: params.signed_by(&key, ca).expect("leaf"), key }
}

fn gateway(ca: &Ca) -> Leaf {
    leaf(ca, &["alcazar-gateway"], &[Usage::ClientAuth, Usage::ServerAuth])
}

/// A listener with its files in a directory.
struct Port {
    dir: TempDir,
    tls: Arc<Tls>,
    address: SocketAddr,
    close: CancellationToken,
    server: JoinSet<()>,
}

impl Port {
    async fn open(ca: &Ca, clients: Clients) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        write(dir.path(), &leaf(ca, &["localhost"], &[Usage::ServerAuth]), &[ca]);
        let tls = Tls::open(dir.path(), clients).expect("open");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let (address, close) = (listener.local_addr().expect("address"), CancellationToken::new());
        let router = Router::new().route("/", get(async || "answered"));
        let mut server = JoinSet::new();
        server.spawn(listen::serve(listener, Some(tls.acceptor().expect("acceptor")), router, close.clone()));
        Self { dir, tls, address, close, server }
    }

    async fn close(mut self) {
        self.close.cancel();
        self.server.join_next().await.expect("a server").expect("a good end");
    }
}

fn write(dir: &Path, leaf: &Leaf, authorities: &[&Ca]) {
    let bundle: String = authorities.iter().map(|ca| ca.pem()).collect();
    fs::write(dir.join("tls.crt"), leaf.certificate.pem()).expect("write");
    fs::write(dir.join("tls.key"), leaf.key.serialize_pem()).expect("write");
    fs::write(dir.join("ca.crt"), bundle).expect("write");
}

fn client(trusted: &[&Ca], shown: Option<&Leaf>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for ca in trusted {
        roots.add(ca.der().clone()).expect("root");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).expect("key");
            builder.with_client_auth_cert(vec![leaf.certificate.der().clone()], key).expect("certificate")
        }
    })
}

/// A request over a connection of its own; TLS 1.3 tells of a refusal only with the first answer.
async fn ask(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("name");
    let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn is_answered(address: SocketAddr, config: &Arc<ClientConfig>) -> bool {
    ask(address, config).await.is_ok_and(|answer| answer.ends_with("answered"))
}

#[tokio::test]
async fn only_the_gateways_certificate_is_answered() {
    let (ca, foreign) = (authority(), authority());
    let port = Port::open(&ca, Clients::Gateway).await;
    let both = [Usage::ClientAuth, Usage::ServerAuth];
    let mut ended = CertificateParams::new(vec!["alcazar-gateway".to_owned()]).expect("names");
    ended.extended_key_usages = both.to_vec();
    ended.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = KeyPair::generate().expect("key");
    let ended = Leaf { certificate: ended.signed_by(&key, &ca).expect("leaf"), key };
    for (case, shown, answered) in [
        ("the gateway", Some(gateway(&ca)), true),
        ("no certificate", None, false),
        ("another model's, for servers", Some(leaf(&ca, &["alcazar-gateway"], &[Usage::ServerAuth])), false),
        ("one without a use", Some(leaf(&ca, &["alcazar-gateway"], &[])), false),
        ("a client of another name", Some(leaf(&ca, &["assistant.team-a.svc"], &both)), false),
        ("a foreign authority", Some(gateway(&foreign)), false),
        ("one that has ended", Some(ended), false),
    ] {
        let config = client(&[&ca], shown.as_ref());
        assert_eq!(is_answered(port.address, &config).await, answered, "{case}");
    }
    port.close().await;
}

#[tokio::test]
async fn direct_access_answers_those_who_show_nothing() {
    let ca = authority();
    let port = Port::open(&ca, Clients::Any).await;
    assert!(is_answered(port.address, &client(&[&ca], None)).await);
    assert!(is_answered(port.address, &client(&[&ca], Some(&gateway(&ca)))).await, "and the gateway all the same");
    port.close().await;
}

#[tokio::test]
async fn a_resumed_session_does_not_outlive_its_authority() {
    let (old, new) = (authority(), authority());
    let port = Port::open(&old, Clients::Gateway).await;
    let config = client(&[&old, &new], Some(&gateway(&old)));
    assert!(is_answered(port.address, &config).await && is_answered(port.address, &config).await);
    write(port.dir.path(), &leaf(&new, &["localhost"], &[Usage::ServerAuth]), &[&new]);
    assert!(port.tls.reload().expect("changed"));
    assert!(!is_answered(port.address, &config).await, "the same client, with what it remembers");
    port.close().await;
}

#[tokio::test]
async fn a_bundle_without_an_authority_leaves_the_old_one_in_use() {
    let ca = authority();
    let port = Port::open(&ca, Clients::Gateway).await;
    for bad in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(port.dir.path().join("ca.crt"), bad).expect("write");
        assert!(port.tls.reload().expect_err(bad).to_string().contains("ca.crt"), "{bad}");
    }
    assert!(is_answered(port.address, &client(&[&ca], Some(&gateway(&ca)))).await);
    fs::remove_file(port.dir.path().join("ca.crt")).expect("remove");
    assert!(Tls::open(port.dir.path(), Clients::Gateway).is_err(), "fails closed");
    port.close().await;
}

/// The order in which an authority is replaced: trusted everywhere, then used, then the old one is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_change_under_load_without_a_lost_request() {
    let (old, new) = (authority(), authority());
    let port = Port::open(&old, Clients::Gateway).await;
    let both = [&old, &new];
    let of_client = Arc::new(std::sync::RwLock::new(client(&[&old], Some(&gateway(&old)))));
    let (stop, n_answers) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let mut load = JoinSet::new();
    for _ in 0..4 {
        let (address, of_client) = (port.address, Arc::clone(&of_client));
        let (stop, n_answers) = (stop.clone(), Arc::clone(&n_answers));
        load.spawn(async move {
            while !stop.is_cancelled() {
                let config = Arc::clone(&of_client.read().expect("lock"));
                let answer = ask(address, &config).await.expect("no request may be lost");
                assert!(answer.ends_with("answered"), "{answer}");
                n_answers.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let go_on = async || {
        let enough = n_answers.load(Ordering::SeqCst) + 20;
        while n_answers.load(Ordering::SeqCst) < enough {
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(load.len() == 4, "a client ended early");
        }
    };
    let serve = |leaf: &Leaf, authorities: &[&Ca]| {
        write(port.dir.path(), leaf, authorities);
        assert!(port.tls.reload().expect("changed"));
    };
    let call = |config| *of_client.write().expect("lock") = config;
    let (old_leaf, new_leaf) =
        (leaf(&old, &["localhost"], &[Usage::ServerAuth]), leaf(&new, &["localhost"], &[Usage::ServerAuth]));
    go_on().await;
    serve(&old_leaf, &both);
    call(client(&both, Some(&gateway(&old))));
    go_on().await;
    call(client(&both, Some(&gateway(&new))));
    serve(&new_leaf, &both);
    go_on().await;
    call(client(&[&new], Some(&gateway(&new))));
    go_on().await;
    serve(&new_leaf, &[&new]);
    go_on().await;
    stop.cancel();
    while let Some(ended) = load.join_next().await {
        ended.expect("a client without a loss");
    }
    port.close().await;
}
