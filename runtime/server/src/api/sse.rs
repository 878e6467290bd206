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
use crate::answer::{Answers, Piece, Text, Told};

/// Proxies cut streams that stay silent, and a long prompt can take its time.
const PING_EVERY: Duration = Duration::from_secs(15);

/// How a route words its answers.
pub(super) trait Shape: Send + 'static {
    /// Before the first text.
    fn opening(&mut self) -> Vec<Frame>;
    fn text(&mut self, choice: usize, text: Text) -> Vec<Frame>;
    fn end(&mut self, choice: usize, finish_reason: &'static str) -> Vec<Frame>;
    /// After the end of every choice.
    fn close(&mut self, usage: &Usage) -> Vec<Frame>;
    /// In the place of everything that would have followed.
    fn failed(&mut self, error: &ApiError) -> Vec<Frame> {
        vec![Frame::data(error.body()), Frame::DONE]
    }
    /// All in one object.
    fn whole(&mut self, choices: Vec<Whole>, usage: &Usage) -> Value;
}

/// A choice that is complete.
#[derive(Clone, Debug, Default)]
pub(super) struct Whole {
    /// As they came.
    pub pieces: Vec<Text>,
    pub finish_reason: &'static str,
}

impl Whole {
    pub(super) fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    pub(super) fn tokens(&self) -> Vec<Told> {
        self.pieces.iter().flat_map(|piece| piece.tokens.iter().cloned()).collect()
    }
}

/// One event of a stream.
pub(super) struct Frame {
    name: Option<&'static str>,
    /// `None`: the word that ends a stream.
    data: Option<Value>,
}

impl Frame {
    pub(super) const DONE: Self = Self { name: None, data: None };

    pub(super) const fn named(name: &'static str, data: Value) -> Self {
        Self { name: Some(name), data: Some(data) }
    }

    pub(super) const fn data(data: Value) -> Self {
        Self { name: None, data: Some(data) }
    }

    fn bytes(&self) -> Bytes {
        let name = self.name.map(|name| format!("event: {name}\n")).unwrap_or_default();
        match &self.data {
            Some(data) => Bytes::from(format!("{name}data: {data}\n\n")),
            None => Bytes::from_static(b"data: [DONE]\n\n"),
        }
    }
}

/// `reasoning_tokens`: those of the answer that were thoughts.
pub(super) fn usage(usage: &Usage, reasoning_tokens: usize) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
    })
}

/// Answers the way the request asks for.
pub(super) async fn respond(shape: impl Shape, answers: Answers, is_stream: bool) -> Result<Response, ApiError> {
    if is_stream { Ok(streamed(shape, answers)) } else { at_once(shape, answers).await }
}

/// Waits for the end of all and answers in one object.
async fn at_once(mut shape: impl Shape, mut answers: Answers) -> Result<Response, ApiError> {
    let mut choices = vec![Whole::default(); answers.n_choices()];
    while let Some((nth, piece)) = answers.next().await {
        let Some(choice) = choices.get_mut(nth) else { continue };
        match piece {
            Piece::Text(text) => choice.pieces.push(text),
            Piece::End { finish_reason, .. } => choice.finish_reason = finish_reason,
            Piece::Failed => return Err(ApiError::failed()),
            Piece::Expired => return Err(ApiError::expired()),
        }
    }
    Ok(Json(shape.whole(choices, &answers.usage())).into_response())
}

/// Answers piece by piece. The body owns the answers, so a client that leaves ends their sequences.
fn streamed(mut shape: impl Shape, answers: Answers) -> Response {
    let frames = shape.opening().iter().map(Frame::bytes).collect();
    let events = Events { shape, answers, frames, is_over: false };
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
    answers: Answers,
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
            match tokio::time::timeout(PING_EVERY, self.answers.next()).await {
                Ok(piece) => self.take(piece),
                Err(_) => return Some(Bytes::from_static(b": still working\n\n")),
            }
        }
    }

    fn take(&mut self, piece: Option<(usize, Piece)>) {
        let frames = match piece {
            Some((nth, Piece::Text(text))) => self.shape.text(nth, text),
            Some((nth, Piece::End { finish_reason, .. })) => self.shape.end(nth, finish_reason),
            Some((_, Piece::Failed)) => {
                self.is_over = true;
                self.shape.failed(&ApiError::failed())
            }
            Some((_, Piece::Expired)) => {
                self.is_over = true;
                self.shape.failed(&ApiError::expired())
            }
            None => {
                self.is_over = true;
                self.shape.close(&self.answers.usage())
            }
        };
        self.frames.extend(frames.iter().map(Frame::bytes));
    }
}
