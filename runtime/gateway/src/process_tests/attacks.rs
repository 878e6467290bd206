//! Bytes that no honest client sends.

use std::{path::PathBuf, time::Duration};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::rig::{Authority, KEY, Options, Pod, Running, chat, connect, key, model, post, send, until};
use crate::settings::Limits;

async fn rig(bounds: Limits) -> (Authority, Pod, Running) {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let running = Running::start(&authority, Options { bounds, ..Options::default() }).await;
    running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
    (authority, pod, running)
}

/// Sends bytes and reads until the connection is closed or silent.
async fn raw(authority: PathBuf, running: &Running, bytes: &[u8]) -> String {
    let mut stream = connect(&authority, running.address).await;
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_millis(700), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(extra: &str) -> String {
    format!("POST /v1/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n{extra}\r\n")
}

#[tokio::test]
async fn smuggled_requests_never_reach_a_pod() {
    let (authority, pod, running) = rig(Limits::default()).await;
    let inner = r#"{"model":"assistant","prompt":"x"}"#;
    let smuggled =
        format!("0\r\n\r\nPOST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{inner}", inner.len());
    for (what, bytes) in [
        ("two lengths", head("content-length: 34\r\ncontent-length: 5\r\n") + inner),
        ("a list of lengths", head("content-length: 34, 5\r\n") + inner),
        ("a signed length", head("content-length: +34\r\n") + inner),
        ("an odd coding", head("transfer-encoding: identity, chunked, x\r\n") + &smuggled),
        ("a coding that is not last", head("transfer-encoding: chunked, identity\r\n") + &smuggled),
        ("a space before the colon", head("content-length : 34\r\n") + inner),
        ("a folded line", head("x: a\r\n content-length: 34\r\n") + inner),
        ("a null in a value", head("x: a\0b\r\ncontent-length: 34\r\n") + inner),
        ("a bad chunk", head("transfer-encoding: chunked\r\n") + "zz\r\n{}\r\n0\r\n\r\n"),
        ("no version", format!("POST /v1/completions\r\n\r\n{inner}")),
        ("another protocol", "\x16\x03\x01\0\0hello\r\n\r\n".to_owned()),
        ("HTTP/2 in the open", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense".to_owned()),
    ] {
        let answer = raw(authority.dir.path().into(), &running, bytes.as_bytes()).await;
        assert!(!answer.contains("200 OK"), "{what}: {answer}");
    }
    assert_eq!(pod.requests(), 0);
    // The coding goes before the length, and the connection is not used again: what follows is no request.
    let both = head("content-length: 5\r\ntransfer-encoding: chunked\r\n") + &smuggled;
    let answer = raw(authority.dir.path().into(), &running, both.as_bytes()).await;
    assert!(answer.matches("HTTP/1.1").count() <= 1, "{answer}");
    assert_eq!(pod.requests(), 0);
    assert_eq!(send(&authority, running.address, chat()).await.status, 200);
}

#[tokio::test]
async fn heads_and_bodies_are_bounded() {
    let bounds = Limits { max_body_bytes: 4096, ..Limits::default() };
    let (authority, pod, running) = rig(bounds).await;
    let many = "x-again: y\r\n".repeat(200);
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    for extra in [many, long] {
        let answer = raw(authority.dir.path().into(), &running, head(&extra).as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let large = format!(r#"{{"model":"assistant","prompt":"{}"}}"#, "x".repeat(5000));
    let got = send(&authority, running.address, post("/v1/completions", KEY, &large)).await;
    assert_eq!((got.status, got.code().as_str()), (413, "request_too_large"));
    let chunked = head("transfer-encoding: chunked\r\n") + "800\r\n" + &"x".repeat(0x800) + "\r\n";
    let endless = chunked.clone() + &("800\r\n".to_owned() + &"x".repeat(0x800) + "\r\n").repeat(4);
    let answer = raw(authority.dir.path().into(), &running, endless.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    for body in ["", "{", "[[[[", "{\"model\":\"assistant\",\"x\":\"\u{0}\"}", "nul"] {
        let got = send(&authority, running.address, post("/v1/completions", KEY, body)).await;
        assert_eq!((got.status, got.code().as_str()), (400, "invalid_json"), "{body}");
    }
    let deep = format!(r#"{{"model":"assistant","x":{}}}"#, "[".repeat(2000));
    assert_eq!(send(&authority, running.address, post("/v1/completions", KEY, &deep)).await.status, 400);
    assert_eq!(pod.requests(), 0);
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let bounds = Limits { header_seconds: 1, body_seconds: 1, ..Limits::default() };
    let (authority, _pod, running) = rig(bounds).await;
    let mut stream = connect(authority.dir.path(), running.address).await;
    stream.write_all(b"POST /v1/completions HTTP/1.1\r\nhost: ").await.expect("it should be sent");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "a head that does not come should be given up");
    let mut stream = connect(authority.dir.path(), running.address).await;
    let slow = head("content-length: 100\r\n") + "{";
    stream.write_all(slow.as_bytes()).await.expect("it should be sent");
    let mut answer = [0; 12];
    tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer))
        .await
        .expect("in time")
        .expect("bytes");
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn idle_connections_make_place_for_honest_ones() {
    let bounds = Limits { max_connections: 20, ..Limits::default() };
    let (authority, pod, running) = rig(bounds).await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(connect(authority.dir.path(), running.address).await);
    }
    until(|| running.crowd.len() <= 20).await;
    for _ in 0..5 {
        assert_eq!(send(&authority, running.address, chat()).await.status, 200);
    }
    assert_eq!(pod.requests(), 5);
    // Some that do not even shake hands.
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(tokio::net::TcpStream::connect(running.address).await.expect("a connection"));
    }
    assert_eq!(send(&authority, running.address, chat()).await.status, 200);
}

#[tokio::test]
async fn other_replicas_only_talk_on_the_peer_port() {
    let (authority, _pod, running) = rig(Limits::default()).await;
    // The certificate of a model pod is of the same CA and not a client's.
    let model_pod =
        crate::tls::Identity::open(&authority.path("pod"), crate::settings::Protocol::Http1).expect("files");
    let stream = tokio::net::TcpStream::connect(running.peer.address).await.expect("a connection");
    let name = rustls_pki_types::ServerName::try_from("alcazar-gateway").expect("a name");
    let shaken = tokio_rustls::TlsConnector::from(model_pod.client()).connect(name.clone(), stream).await;
    let is_refused = match shaken {
        Err(_) => true,
        // In TLS 1.3 the client learns of it with its first read.
        Ok(mut stream) => {
            let _ = stream.write_all(b"POST /reserve HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.is_err() || answer.is_empty()
        }
    };
    assert!(is_refused);
    // A client of the CA under another name is heard and refused.
    authority.leaf("stranger", "stranger", &[rcgen::ExtendedKeyUsagePurpose::ClientAuth]);
    let stranger =
        crate::tls::Identity::open(&authority.path("stranger"), crate::settings::Protocol::Http1).expect("files");
    let stream = tokio::net::TcpStream::connect(running.peer.address).await.expect("a connection");
    let mut stream =
        tokio_rustls::TlsConnector::from(stranger.client()).connect(name, stream).await.expect("a handshake");
    stream
        .write_all(b"POST /reserve HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .expect("it should be sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 403");
}
