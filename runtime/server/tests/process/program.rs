//! Runs `alcazar-runtime` and reads what it logs, and plays a hub for it.

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures::stream;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A running program; killed when the test is over.
pub(crate) struct Program {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alcazar-runtime"));
        let mut child = command.args(arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// The next line of the log with this message.
    pub(crate) fn logged(&mut self, message: &str) -> Value {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the log ended before '{message}':\n{seen}");
            let entry: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON in the log: {line}"));
            if entry["message"] == message {
                return entry;
            }
            seen.push_str(&line);
        }
    }

    pub(crate) fn terminate(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// As the kernel does it for want of memory.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already in a good test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) const REVISION: &str = "12fd25f77366fa6b3b4b768ec3050bf629380bac";

/// A hub with one file, as slow as it is told, that counts what it serves.
pub(crate) struct Hub {
    pub(crate) base: String,
    pub(crate) state: Arc<Mutex<State>>,
    _server: JoinSet<()>,
}

pub(crate) struct State {
    pub(crate) file: Bytes,
    pub(crate) pause: Duration,
    pub(crate) served_bytes: usize,
}

impl Hub {
    pub(crate) async fn start(file: Vec<u8>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { file: file.into(), pause: Duration::ZERO, served_bytes: 0 }));
        let shared = Arc::clone(&state);
        let router = Router::new().fallback(async move |uri: Uri, headers: HeaderMap| answer(&shared, &uri, &headers));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, state, _server: server }
    }

    pub(crate) fn source(&self) -> String {
        json!({"huggingFace": {"endpoint": self.base, "repo": "owner/name", "revision": REVISION}}).to_string()
    }
}

fn answer(state: &Arc<Mutex<State>>, uri: &Uri, headers: &HeaderMap) -> Response {
    let (file, pause) = {
        let state = state.lock().unwrap();
        (state.file.clone(), state.pause)
    };
    if uri.path().starts_with("/api/models/owner/name/revision/") {
        let listing = json!({"sha": REVISION, "siblings": [{"rfilename": "tiny.gguf", "size": file.len()}]});
        return listing.to_string().into_response();
    }
    let range = headers.get(header::RANGE).and_then(|range| {
        let (start, last) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse::<usize>().ok()?, last.parse::<usize>().ok()?.min(file.len() - 1)))
    });
    let (status, part) = match range {
        Some((start, last)) => (StatusCode::PARTIAL_CONTENT, file.slice(start..=last)),
        None => (StatusCode::OK, file.clone()),
    };
    let mut response = Response::builder().status(status).header(header::ETAG, "\"tiny\"");
    if let Some((start, last)) = range {
        response = response.header(header::CONTENT_RANGE, format!("bytes {start}-{last}/{}", file.len()));
    }
    response.header(header::CONTENT_LENGTH, part.len()).body(slow(&part, pause, Arc::clone(state))).unwrap()
}

fn slow(part: &Bytes, pause: Duration, state: Arc<Mutex<State>>) -> Body {
    let pieces: Vec<Bytes> = part.chunks(4096).map(Bytes::copy_from_slice).collect();
    Body::from_stream(stream::unfold(pieces.into_iter(), move |mut pieces| {
        let state = Arc::clone(&state);
        async move {
            tokio::time::sleep(pause).await;
            let piece = pieces.next()?;
            state.lock().unwrap().served_bytes += piece.len();
            Some((Ok::<_, Infallible>(piece), pieces))
        }
    }))
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
