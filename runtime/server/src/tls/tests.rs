//! Certificates that change under a running listener.

use std::{slice::from_ref, sync::Arc};

use axum::{Router, routing::get};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{listen, test_support::write_certificate};

/// Connects and says which certificate and protocol it met.
async fn meet(
    address: std::net::SocketAddr,
    trusted: &[CertificateDer<'static>],
    alpn: &[u8],
) -> (CertificateDer<'static>, Vec<u8>) {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).expect("root");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(address).await.expect("connect");
    let name = ServerName::try_from("localhost").expect("name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("handshake");
    let (_, session) = stream.get_ref();
    let met = session.peer_certificates().expect("certificate")[0].clone().into_owned();
    (met, session.alpn_protocol().expect("protocol").to_vec())
}

#[tokio::test]
async fn a_changed_certificate_is_used_for_the_next_connection() {
    let dir = tempfile::tempdir().expect("tempdir");
    let first = write_certificate(dir.path());
    let tls = Tls::open(dir.path(), Clients::Any).expect("open");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let close = CancellationToken::new();
    let router = Router::new().route("/", get(async || "hi"));
    let acceptor = tls.acceptor().expect("acceptor");
    let mut server = tokio::task::JoinSet::new();
    server.spawn(listen::serve(listener, Some(acceptor), router, close.clone()));

    assert_eq!(meet(address, from_ref(&first), b"h2").await, (first.clone(), b"h2".to_vec()));
    assert!(!tls.reload().expect("unchanged"));
    let second = write_certificate(dir.path());
    assert!(tls.reload().expect("changed"));
    assert_eq!(
        meet(address, &[first.clone(), second.clone()], b"http/1.1").await,
        (second.clone(), b"http/1.1".to_vec())
    );

    fs::write(dir.path().join("tls.key"), "half written").expect("write");
    assert!(tls.reload().is_err());
    let other = tempfile::tempdir().expect("tempdir");
    write_certificate(other.path());
    fs::copy(other.path().join("tls.key"), dir.path().join("tls.key")).expect("copy");
    assert!(tls.reload().is_err(), "certificate and key do not belong together");
    assert_eq!(meet(address, from_ref(&second), b"h2").await.0, second, "the old one stays");
    close.cancel();
    server.join_next().await.expect("a server").expect("a good end");
}

#[test]
fn what_is_missing_is_named() {
    let dir = tempfile::tempdir().expect("tempdir");
    assert!(Tls::open(dir.path(), Clients::Any).expect_err("empty").to_string().contains("tls.crt"));
    fs::write(dir.path().join("tls.crt"), "no PEM").expect("write");
    fs::write(dir.path().join("tls.key"), "no PEM").expect("write");
    assert!(Tls::open(dir.path(), Clients::Any).expect_err("no certificate").to_string().contains("tls.crt"));
}
