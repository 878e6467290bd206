//! Asks a pod of ours one question over plain HTTP. Client required: the network, never the API server.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// From connect to the last byte.
const PATIENCE: Duration = Duration::from_secs(1);
/// More is no answer of ours.
const MAX_BYTES: usize = 64 * 1024;

/// The JSON at that route; none when there is no answer in time, or another one. Absence is an answer too.
pub async fn get_json<T: DeserializeOwned>(address: SocketAddr, route: &str) -> Option<T> {
    let body = tokio::time::timeout(PATIENCE, get(address, route)).await.ok()??;
    serde_json::from_slice(&body).ok()
}

async fn get(address: SocketAddr, route: &str) -> Option<Bytes> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(route).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new()).ok()?;
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        Some(Limited::new(response.into_body(), MAX_BYTES).collect().await.ok()?.to_bytes())
    };
    // The connection is driven here and dropped with the answer: no task outlives the question.
    tokio::pin!(answer, connection);
    tokio::select! {
        body = &mut answer => body,
        closed = &mut connection => {
            closed.ok()?;
            answer.await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn answering(reply: &'static [u8]) -> Option<serde_json::Value> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let n = stream.read(&mut request).await.unwrap();
            assert!(request[..n].starts_with(b"GET /status HTTP/1.1\r\n"));
            stream.write_all(reply).await.unwrap();
            stream
        };
        tokio::join!(get_json(address, "/status"), server).0
    }

    #[tokio::test]
    async fn reads_json_and_nothing_else() {
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"ready\":true}";
        assert_eq!(answering(ok).await, Some(serde_json::json!({"ready": true})));
        assert_eq!(answering(b"HTTP/1.1 503 Nope\r\ncontent-length: 2\r\n\r\n{}").await, None);
        assert_eq!(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n<p>").await, None);
        assert_eq!(answering(b"SSH-2.0-hello\r\n").await, None);
    }

    #[tokio::test]
    async fn a_silent_pod_costs_a_second() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let began = std::time::Instant::now();
        assert_eq!(get_json::<serde_json::Value>(listener.local_addr().unwrap(), "/status").await, None);
        assert!(began.elapsed() < Duration::from_secs(3));
        drop(listener);
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(get_json::<serde_json::Value>(free, "/status").await, None);
    }
}
