//! HTTP/2 by its frames (RFC 9113, section 6), with what one connection of the gateway brings.

use std::time::Duration;

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::talk;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// `END_STREAM` and `END_HEADERS`.
const WHOLE: u8 = 5;
/// GET, http, / and the authority "a", in HPACK.
const HEAD: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b'a'];
/// `:status: 200`, in HPACK.
const OK: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Kind, stream and payload of the next frame.
async fn next(connection: &mut DuplexStream) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    connection.read_exact(&mut head).await.unwrap();
    let [l0, l1, l2, kind, _, s0, s1, s2, s3] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, l0, l1, l2]) as usize];
    connection.read_exact(&mut payload).await.unwrap();
    (kind, u32::from_be_bytes([s0, s1, s2, s3]), payload)
}

#[tokio::test]
async fn streams_that_some_clients_take_back_leave_the_connection_to_others() {
    let (mut gateway, here) = tokio::io::duplex(1 << 16);
    let router = Router::new().route("/", get(async || "answer"));
    let mut serving = JoinSet::new();
    serving.spawn(talk(here, router, CancellationToken::new()));
    let (n_reset, honest) = (200u32, 401u32);
    let mut sent = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in (0..n_reset).map(|nth| 2 * nth + 1) {
        sent.extend(frame(HEADERS, WHOLE, stream, HEAD));
        sent.extend(frame(RESET, 0, stream, &[0, 0, 0, 8]));
    }
    sent.extend(frame(HEADERS, WHOLE, honest, HEAD));
    // All at once, as it lies there when this program was busy.
    gateway.write_all(&sent).await.unwrap();
    let answered = async {
        loop {
            let (kind, stream, payload) = next(&mut gateway).await;
            assert_ne!(kind, GOAWAY, "the connection was given up: {payload:?}");
            if kind == HEADERS && stream == honest {
                break payload[0];
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), answered).await, Ok(OK));
}
