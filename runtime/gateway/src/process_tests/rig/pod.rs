//! A fake model pod.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
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
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use super::{authority::Authority, until};
use crate::tls::Identity;

/// What a pod does with a request.
#[derive(Clone)]
pub(crate) enum Mode {
    /// Repeats the model's name and tells of 3 and 4 tokens.
    Answer,
    /// A status and an error code.
    Refuse(u16, &'static str),
    /// Events, as [`Pod::say`] gives them.
    Stream,
    Hang,
    /// Only with requests that have this word; others are answered.
    HangAt(&'static str),
}

/// A request as a pod saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The gateway's.
    pub(crate) certificate: Vec<u8>,
}

/// A fake model pod.
pub(crate) struct Pod {
    pub(crate) address: SocketAddr,
    pub(crate) identity: Arc<Identity>,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    mode: Arc<Mutex<Mode>>,
    speaker: Arc<Mutex<Option<mpsc::UnboundedSender<Bytes>>>>,
    tasks: JoinSet<()>,
}

impl Pod {
    pub(crate) async fn start(authority: &Authority, certificate: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, mode, speaker) = (Arc::default(), Arc::new(Mutex::new(Mode::Answer)), Arc::default());
        let identity = authority.identity(certificate);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_pod(
            listener,
            Arc::clone(&identity),
            Arc::clone(&seen),
            Arc::clone(&mode),
            Arc::clone(&speaker),
        ));
        Self { address, identity, seen, mode, speaker, tasks }
    }

    pub(crate) fn does(&self, mode: Mode) {
        *self.mode.lock().expect("not poisoned") = mode;
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().expect("not poisoned").len()
    }

    fn speaker(&self) -> Option<mpsc::UnboundedSender<Bytes>> {
        self.speaker.lock().expect("not poisoned").clone()
    }

    /// Sends an event of the running stream.
    pub(crate) async fn say(&self, event: &str) {
        until(|| self.speaker().is_some()).await;
        let speaker = self.speaker().expect("a stream runs");
        speaker.send(Bytes::from(event.to_owned())).expect("the stream should run");
    }

    /// Ends the stream.
    pub(crate) fn finish(&self) {
        *self.speaker.lock().expect("not poisoned") = None;
    }

    /// Whether nobody listens to the stream any more.
    pub(crate) fn is_left(&self) -> bool {
        self.speaker().is_some_and(|speaker| speaker.is_closed())
    }

    /// As if the process were killed.
    pub(crate) async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }
}

type PodBody = BoxBody<Bytes, std::convert::Infallible>;
type Shared<T> = Arc<Mutex<T>>;

async fn serve_pod(
    listener: TcpListener,
    identity: Arc<Identity>,
    seen: Shared<Vec<Seen>>,
    mode: Shared<Mode>,
    speaker: Shared<Option<mpsc::UnboundedSender<Bytes>>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (acceptor, seen, mode, speaker) =
            (identity.acceptor(), Arc::clone(&seen), Arc::clone(&mode), Arc::clone(&speaker));
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let shown = stream.get_ref().1.peer_certificates().expect("it should be asked for")[0].to_vec();
            let service = service_fn(move |request: Request<Incoming>| {
                let (seen, mode, speaker) = (Arc::clone(&seen), Arc::clone(&mode), Arc::clone(&speaker));
                let certificate = shown.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.expect("a body").to_bytes();
                    let (path, headers) = (head.uri.path().to_owned(), head.headers);
                    seen.lock().expect("not poisoned").push(Seen { path, headers, body: body.clone(), certificate });
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
        Mode::HangAt(word) if String::from_utf8_lossy(body).contains(word) => std::future::pending().await,
        Mode::Answer | Mode::HangAt(_) => {
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
