//! A hub in this process that speaks the API and misbehaves on demand.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use sha2::{Digest as _, Sha256};

pub(crate) const REVISION: &str = "12fd25f77366fa6b3b4b768ec3050bf629380bac";

/// How a file is served wrongly.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, so many times.
    Status(u16, usize),
    /// The connection breaks after so many bytes of a body, so many times.
    Break(usize, usize),
    /// A file that is cut off there, with a Content-Length that fits.
    Short(usize),
    /// Never a partial answer, and each whole one breaks after so many bytes.
    CutWhole(usize),
    /// Never a partial answer.
    NoRanges,
    /// Never a partial answer, and no Content-Length either.
    NoLength,
    /// Another ETag with each request, so many times.
    ChangingEtag(usize),
    /// An HTML page with status 200.
    Html,
    /// Other bytes than the listing says.
    OtherBytes,
    /// Moved to there.
    Redirect(String),
    /// 4 KiB, a pause, and so on.
    Slow(Duration),
}

pub(crate) struct Seen {
    pub path: String,
    pub range: Option<(usize, usize)>,
    pub authorization: Option<String>,
}

#[derive(Default)]
pub(crate) struct Hub {
    pub files: Mutex<BTreeMap<String, Bytes>>,
    pub faults: Mutex<BTreeMap<String, Fault>>,
    pub seen: Mutex<Vec<Seen>>,
    pub base: Mutex<String>,
    served: tokio::sync::Mutex<tokio::task::JoinSet<()>>,
}

impl Hub {
    pub(crate) async fn start(files: &[(&str, &[u8])]) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        Self::start_on(listener, base, files).await
    }

    /// On any kind of listener, known by that URL.
    pub(crate) async fn start_on<L>(listener: L, base: String, files: &[(&str, &[u8])]) -> Arc<Self>
    where
        L: axum::serve::Listener<Addr: std::fmt::Debug>,
    {
        let hub = Arc::new(Self::default());
        for (path, bytes) in files {
            hub.files.lock().unwrap().insert((*path).to_owned(), Bytes::copy_from_slice(bytes));
        }
        *hub.base.lock().unwrap() = base;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&hub));
        hub.served.lock().await.spawn(async move { axum::serve(listener, router).await.unwrap() });
        hub
    }

    pub(crate) fn base(&self) -> String {
        self.base.lock().unwrap().clone()
    }

    pub(crate) fn misbehave(&self, path: &str, fault: Fault) {
        self.faults.lock().unwrap().insert(path.to_owned(), fault);
    }

    pub(crate) fn behave(&self) {
        self.faults.lock().unwrap().clear();
        self.seen.lock().unwrap().clear();
    }

    /// How often a path was asked for.
    pub(crate) fn n_seen(&self, path: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path == path).count()
    }

    fn fault(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.get_mut(path)?;
        let now = fault.clone();
        let is_spent = match fault {
            Fault::Status(_, times) | Fault::Break(_, times) | Fault::ChangingEtag(times) => {
                *times -= 1;
                *times == 0
            }
            _ => false,
        };
        if is_spent {
            faults.remove(path);
        }
        Some(now)
    }

    fn listing(&self) -> String {
        let files = self.files.lock().unwrap();
        let siblings: Vec<String> = files
            .iter()
            .map(|(path, bytes)| {
                let sha = hex(&Sha256::digest(bytes));
                let size = bytes.len();
                format!(
                    r#"{{"rfilename":"{path}","size":{size},"blobId":"0","lfs":{{"sha256":"{sha}","size":{size}}}}}"#
                )
            })
            .collect();
        format!(r#"{{"sha":"{REVISION}","siblings":[{}]}}"#, siblings.join(","))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

async fn answer(State(hub): State<Arc<Hub>>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let name = path
        .strip_prefix(&format!("/owner/name/resolve/{REVISION}/"))
        .or_else(|| path.strip_prefix("/plain/"))
        .or_else(|| (path == format!("/api/models/owner/name/revision/{REVISION}")).then_some("listing"));
    let Some(name) = name else { return StatusCode::NOT_FOUND.into_response() };
    let range = headers.get(header::RANGE).map(|value| parse_range(value.to_str().unwrap()));
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    hub.seen.lock().unwrap().push(Seen { path: name.to_owned(), range, authorization });
    let fault = hub.fault(name);
    match &fault {
        Some(Fault::Status(status, _)) => return StatusCode::from_u16(*status).unwrap().into_response(),
        Some(Fault::Redirect(to)) if !path.starts_with("/plain/") => {
            return (StatusCode::FOUND, [(header::LOCATION, to.clone())]).into_response();
        }
        Some(Fault::Html) => return axum::response::Html("<!doctype html><title>Sign in</title>").into_response(),
        _ => {}
    }
    if name == "listing" {
        return hub.listing().into_response();
    }
    let Some(bytes) = hub.files.lock().unwrap().get(name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = match fault {
        Some(Fault::ChangingEtag(n)) => format!("\"changing-{n}\""),
        _ => format!("\"{}\"", hex(&Sha256::digest(&bytes)[..8])),
    };
    let if_range = headers.get(header::IF_RANGE).map(|value| value.to_str().unwrap());
    serve(bytes, range.filter(|_| if_range.is_none_or(|wanted| wanted == etag)), etag, fault.as_ref())
}

fn serve(bytes: Bytes, range: Option<(usize, usize)>, etag: String, fault: Option<&Fault>) -> Response {
    let bytes = match fault {
        Some(Fault::Short(size)) => bytes.slice(..*size),
        Some(Fault::OtherBytes) => bytes.iter().map(|byte| byte ^ 1).collect(),
        _ => bytes,
    };
    let builder = Response::builder().header(header::ETAG, etag);
    let range = range.filter(|_| !matches!(fault, Some(Fault::NoRanges | Fault::NoLength | Fault::CutWhole(_))));
    let (builder, part) = match range {
        Some((start, _)) if start >= bytes.len() => {
            return builder
                .status(416)
                .header(header::CONTENT_RANGE, format!("bytes */{}", bytes.len()))
                .body(Body::empty())
                .unwrap();
        }
        Some((start, last)) => {
            let last = last.min(bytes.len() - 1);
            let range = format!("bytes {start}-{last}/{}", bytes.len());
            (builder.status(206).header(header::CONTENT_RANGE, range), bytes.slice(start..=last))
        }
        None => (builder.status(200), bytes),
    };
    let length = part.len();
    let body = match fault {
        Some(Fault::Break(at, _) | Fault::CutWhole(at)) => broken(part.slice(..length.min(*at))),
        Some(Fault::Slow(pause)) => slow(&part, *pause),
        Some(Fault::NoLength) => return builder.body(slow(&part, Duration::ZERO)).unwrap(),
        _ => Body::from(part),
    };
    builder.header(header::CONTENT_LENGTH, length).body(body).unwrap()
}

fn broken(part: Bytes) -> Body {
    // The pause lets the bytes reach the client before the connection is torn down.
    Body::from_stream(stream::unfold(0, move |n| {
        let part = part.clone();
        async move {
            match n {
                0 => Some((Ok(part), 1)),
                1 => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Some((Err(std::io::Error::other("cut")), 2))
                }
                _ => None,
            }
        }
    }))
}

fn slow(part: &Bytes, pause: Duration) -> Body {
    let pieces: Vec<Bytes> = part.chunks(4096).map(Bytes::copy_from_slice).collect();
    Body::from_stream(stream::unfold(pieces.into_iter(), move |mut pieces| async move {
        tokio::time::sleep(pause).await;
        pieces.next().map(|piece| (Ok::<_, Infallible>(piece), pieces))
    }))
}

fn parse_range(text: &str) -> (usize, usize) {
    let (start, last) = text.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    (start.parse().unwrap(), last.parse().unwrap())
}
