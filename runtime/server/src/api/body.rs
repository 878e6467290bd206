//! Reads the JSON object of a request, bounded in size and time.

use std::time::Duration;

use axum::{body::Body, http::HeaderMap, http::header::CONTENT_LENGTH};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value, error::Category};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{ApiError, MAX_BODY_BYTES};

/// A client that cannot send 4 MiB in this time holds a connection for nothing.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// What is read of a body that is refused for its size.
const MAX_DISCARDED_BYTES: usize = 16 * MAX_BODY_BYTES;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// All bodies that are being read; eight of the largest, or thousands of usual ones.
const MAX_BODIES_KIB: usize = 8 * MAX_BODY_BYTES / 1024;

/// The object, and how many bytes it took. `room` bounds the bodies that are in memory together.
pub(super) async fn read(
    room: &BodyRoom,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<(Map<String, Value>, usize), ApiError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY_BYTES) {
        discard(body).await;
        return Err(ApiError::too_large(MAX_BODY_BYTES));
    }
    let collected = async {
        let _room = room.enter(announced.unwrap_or(MAX_BODY_BYTES)).await;
        let bytes = match Limited::new(&mut body, MAX_BODY_BYTES).collect().await {
            Err(error) if error.is::<LengthLimitError>() => {
                discard(body).await;
                return Err(ApiError::too_large(MAX_BODY_BYTES));
            }
            Err(_) => return Err(ApiError::body_broken()),
            Ok(collected) => collected.to_bytes(),
        };
        parse(&bytes).map(|object| (object, bytes.len()))
    };
    tokio::time::timeout(BODY_TIMEOUT, collected).await.unwrap_or_else(|_| Err(ApiError::body_timeout()))
}

/// Reads on for a while and keeps nothing: a client that is still sending sees a closed connection, not the answer.
async fn discard(body: Body) {
    let mut body = Limited::new(body, MAX_DISCARDED_BYTES);
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    // Who sends for longer may as well see the connection close.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, reading).await;
}

/// Memory for bodies: without it, as many clients as may connect could each send the largest one.
#[derive(Debug)]
pub(crate) struct BodyRoom {
    kibibytes: Semaphore,
}

impl Default for BodyRoom {
    fn default() -> Self {
        Self { kibibytes: Semaphore::new(MAX_BODIES_KIB) }
    }
}

impl BodyRoom {
    async fn enter(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        // Never closed.
        self.kibibytes.acquire_many(kibibytes).await.ok()
    }
}

/// The parser's own messages can repeat what it read, so only the place is told.
fn parse(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::invalid_json("the body of the request must be a JSON object")),
        Err(error) => {
            let what = match error.classify() {
                Category::Eof => "ends early",
                Category::Syntax | Category::Data | Category::Io => "is not valid JSON",
            };
            let (line, column) = (error.line(), error.column());
            Err(ApiError::invalid_json(format!("the body of the request {what} at line {line}, column {column}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;

    /// A body without an announced length that counts what is read of it.
    fn counted(n_bytes: usize) -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let pieces = futures::stream::iter((0..n_bytes / PIECE).map(move |_| {
            counter.fetch_add(PIECE, Ordering::Relaxed);
            Ok::<_, Infallible>(vec![b' '; PIECE])
        }));
        (Body::from_stream(pieces), read)
    }

    const PIECE: usize = 64 << 10;

    #[tokio::test]
    async fn what_is_too_large_is_read_on_within_a_bound() {
        for (n_bytes, most) in [(6 << 20, 6 << 20), (100 << 20, MAX_BODY_BYTES + MAX_DISCARDED_BYTES + 2 * PIECE)] {
            for announced in [None, Some(n_bytes)] {
                let headers = announced.map(|bytes: usize| (CONTENT_LENGTH, bytes.into())).into_iter().collect();
                let (body, read_bytes) = counted(n_bytes);
                let error = read(&BodyRoom::default(), &headers, body).await.expect_err("it is too large");
                assert_eq!(error.told().0, 413);
                let found = read_bytes.load(Ordering::Relaxed);
                assert!(found >= n_bytes.min(MAX_DISCARDED_BYTES) && found <= most, "{found} of {n_bytes}");
            }
        }
    }

    #[test]
    fn what_is_no_object_is_told_by_its_place_only() {
        for (text, word) in [
            ("", "ends early at line 1"),
            ("{\"a\": 1", "ends early"),
            ("{\"secret\" 1}", "line 1, column 11"),
            ("[\"secret\"]", "must be a JSON object"),
            ("\"secret\"", "must be a JSON object"),
            ("{\"a\": \"secret\u{0}\"}", "not valid JSON"),
            ("{\"a\": 1} secret", "not valid JSON"),
            (&format!("{}1{}", "[".repeat(500), "]".repeat(500)), "not valid JSON"),
        ] {
            let error = parse(text.as_bytes()).expect_err(text);
            let (status, code, _, message) = error.told();
            assert_eq!((status, code), (400, "invalid_json"));
            assert!(message.contains(word) && !message.contains("secret"), "{message}");
        }
        assert!(parse(b"\xff\xfe").is_err());
        assert!(parse(b"{}").is_ok());
    }
}
