//! Model pods that say back all that they were told, in as many ways as a pod can answer or fail to.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use crate::{authority::Authority, canary::CANARY};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What the prompt asks the pod to do.
pub(crate) const WAYS: [&str; 13] = [
    "answer",
    "refuse-400",
    "refuse-404",
    "refuse-429",
    "refuse-500",
    "refuse-503",
    "loading",
    "odd-usage",
    "no-json",
    "events",
    "odd-events",
    "die-in-events",
    "die-in-answer",
];

pub(crate) async fn start(authority: &Authority, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, acceptor) = (listener.local_addr().unwrap(), authority.acceptor("pod"));
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// Speaks TLS, and something that is no HTTP.
pub(crate) async fn start_broken(authority: &Authority, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, acceptor) = (listener.local_addr().unwrap(), authority.acceptor("broken"));
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut heard = [0; 4096];
            let n = stream.read(&mut heard).await.unwrap_or(0);
            let _ = stream.write_all(&[b"HTTP/1.1 ", CANARY.as_bytes(), b"\r\n\r\n", &heard[..n]].concat()).await;
        }
    });
    address
}

fn whole(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    let response = response.header("x-answer", CANARY).header("set-cookie", CANARY);
    response.body(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()).unwrap()
}

/// Chunks, then the end or a broken connection.
fn chunks(content: &str, chunks: Vec<String>, dies: bool) -> Response<Body> {
    let end = dies.then(|| Err(io::Error::other(CANARY)));
    let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(Bytes::from(chunk)))).chain(end);
    let frames = stream::unfold(frames, async |mut frames| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((frames.next()?, frames))
    });
    let response = Response::builder().header("content-type", content);
    response.body(BodyExt::boxed_unsync(StreamBody::new(frames))).unwrap()
}

async fn answer(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let said = format!("{head:?} {}", String::from_utf8_lossy(&body));
    let way = WAYS.into_iter().find(|way| said.contains(&format!("way:{way}.")));
    let refusal = |code: &str| json!({"error": {"message": said, "code": code, "type": CANARY}}).to_string();
    let event = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": said}}]}));
    let odd = [format!("data: {{{said}\n\n"), format!("{said}\n"), format!("data: {{\"usage\": {said:?}}}\n\n")];
    match way {
        Some("refuse-400") => whole(400, refusal("invalid_value")),
        Some("refuse-404") => whole(404, refusal(&said)),
        Some("refuse-429") => whole(429, refusal("queue_full")),
        Some("refuse-500") => whole(500, said.clone()),
        Some("refuse-503") => whole(503, refusal(CANARY)),
        Some("loading") => whole(503, refusal("model_loading")),
        Some("odd-usage") => whole(200, json!({"text": said, "usage": {"prompt_tokens": said}}).to_string()),
        Some("no-json") => whole(200, said.clone()),
        Some("events") => chunks("text/event-stream", vec![event.clone(), event, "data: [DONE]\n\n".into()], false),
        Some("odd-events") => chunks("text/event-stream", odd.into(), false),
        Some("die-in-events") => chunks("text/event-stream", vec![event], true),
        Some("die-in-answer") => chunks("application/json", vec![said.clone()], true),
        Some(_) => whole(200, json!({"text": said, "usage": usage()}).to_string()),
        None if said.contains("way:hang.") => std::future::pending().await,
        None => whole(200, json!({"object": "list", "data": [{"id": CANARY, "parent": "assistant"}]}).to_string()),
    }
}

fn usage() -> Value {
    json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7})
}
