//! Answers as they come (server-sent events), and answers at once.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use alcazar_engine::Usage;
use axum::{
    Json,
    body::{Body, Bytes},
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::{Value, json};

use super::ApiError;
use crate::answer::{Answer, Piece};

/// Proxies cut streams that stay silent, and a long prompt can take its time.
const PING_EVERY: Duration = Duration::from_secs(15);

/// How a route words its answers.
pub(super) trait Shape: Send + 'static {
    /// A chunk before the first text.
    fn opening(&self) -> Option<Value>;
    fn text(&self, text: &str) -> Value;
    fn end(&self, finish_reason: &str) -> Value;
    /// The chunk that carries the usage alone.
    fn usage(&self, usage: Value) -> Value;
    /// The whole answer in one object.
    fn whole(&self, text: &str, finish_reason: &str, usage: Value) -> Value;
}

pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    })
}

/// Waits for the end and answers in one object.
pub(super) async fn at_once(shape: impl Shape, mut answer: Answer) -> Result<Response, ApiError> {
    let mut whole = String::new();
    while let Some(piece) = answer.next().await {
        match piece {
            Piece::Text(text) => whole.push_str(&text),
            Piece::End { finish_reason, usage: spent } => {
                return Ok(Json(shape.whole(&whole, finish_reason, usage(&spent))).into_response());
            }
            Piece::Failed => break,
        }
    }
    Err(ApiError::failed())
}

/// Answers piece by piece. The body owns the answer, so a client that leaves ends the sequence.
pub(super) fn streamed(shape: impl Shape, answer: Answer, with_usage: bool) -> Response {
    let mut events = Events { shape, answer, with_usage, frames: VecDeque::new(), is_over: false };
    if let Some(opening) = events.shape.opening() {
        events.chunk(opening);
    }
    let body = stream::unfold(events, async |mut events| {
        let frame = events.next().await?;
        Some((Ok::<Bytes, Infallible>(frame), events))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    // Proxies that buffer would turn a stream into one late block.
    (headers, [("x-accel-buffering", "no")], Body::from_stream(body)).into_response()
}

struct Events<S> {
    shape: S,
    answer: Answer,
    with_usage: bool,
    frames: VecDeque<Bytes>,
    is_over: bool,
}

impl<S: Shape> Events<S> {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            if self.is_over {
                return None;
            }
            match tokio::time::timeout(PING_EVERY, self.answer.next()).await {
                Ok(piece) => self.take(piece),
                Err(_) => return Some(Bytes::from_static(b": still working\n\n")),
            }
        }
    }

    fn take(&mut self, piece: Option<Piece>) {
        match piece {
            Some(Piece::Text(text)) => self.chunk(self.shape.text(&text)),
            Some(Piece::End { finish_reason, usage: spent }) => {
                self.chunk(self.shape.end(finish_reason));
                if self.with_usage {
                    // Not through `chunk`, which would set the field to null.
                    self.frame(&self.shape.usage(usage(&spent)));
                }
                self.done();
            }
            Some(Piece::Failed) | None => {
                self.frame(&ApiError::failed().body());
                self.done();
            }
        }
    }

    fn chunk(&mut self, mut value: Value) {
        if self.with_usage {
            value["usage"] = Value::Null;
        }
        self.frame(&value);
    }

    fn frame(&mut self, value: &Value) {
        self.frames.push_back(Bytes::from(format!("data: {value}\n\n")));
    }

    fn done(&mut self) {
        self.frames.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        self.is_over = true;
    }
}
