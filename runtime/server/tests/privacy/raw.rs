//! What no client library sends: broken HTTP/1.1 and HTTP/2, cut off and oversized.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    canary::{canary, found_in},
    serving::Serving,
};

/// Each is sent on a connection of its own, which the client closes after half a second at the latest.
fn messages() -> Vec<Vec<u8>> {
    let text = canary("raw");
    let post = |headers: &str, body: &str| {
        format!("POST /v1/completions HTTP/1.1\r\nhost: {text}\r\nauthorization: Bearer {text}\r\n{headers}\r\n{body}")
            .into_bytes()
    };
    let mut http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // HEADERS whose block is no HPACK, and DATA on a stream that does not exist.
    for (kind, flags, stream) in [(1_u8, 4_u8, 1_u8), (0, 1, 3)] {
        http2.extend([0, 0, u8::try_from(text.len()).unwrap(), kind, flags, 0, 0, 0, stream]);
        http2.extend(text.bytes());
    }
    vec![
        format!("{text}\r\n\r\n").into_bytes(),
        format!("GET /{text} HTTP/9.9\r\n\r\n").into_bytes(),
        format!("GET /v1/models HTTP/1.1\r\n{text}\r\n\r\n").into_bytes(),
        format!("GET /v1/models HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", text.repeat(60_000)).into_bytes(),
        post("content-length: 10\r\ncontent-length: 20\r\n", &text),
        post("content-length: 1000\r\n", &format!("{{\"prompt\": \"{text}")),
        post("content-length: -1\r\n", &text),
        post("transfer-encoding: chunked\r\n", &format!("{text}\r\n")),
        post("transfer-encoding: chunked\r\n", &format!("20;{text}\r\n{text}")),
        post("transfer-encoding: chunked, chunked\r\ncontent-length: 5\r\n", &text),
        post("expect: 100-continue\r\ncontent-length: 5000000\r\n", &text),
        [post("x: ", "").as_slice(), &[0, 255, 13], text.as_bytes()].concat(),
        [&b"\x16\x03\x01\x02\x00\x01"[..], text.as_bytes()].concat(),
        http2,
    ]
}

pub(crate) async fn attack(serving: &Serving) {
    for address in [&serving.api, &serving.probe] {
        for message in messages() {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // It may close while we write.
            let _ = stream.write_all(&message).await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(Duration::from_millis(500), stream.read_to_end(&mut answer)).await;
            let shown = String::from_utf8_lossy(&message[..message.len().min(120)]).into_owned();
            assert_eq!(found_in(&answer), None, "{address} {shown}");
        }
    }
}
