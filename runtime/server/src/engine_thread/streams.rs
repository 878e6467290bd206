//! Who reads which sequence, and how long it has taken.

use std::{collections::HashMap, time::Instant};

use alcazar_core::SeqId;
use alcazar_engine::{Effect, Engine, Permit};
use tokio::sync::mpsc::UnboundedSender;

use super::{Ended, Event};
use crate::metrics::{Course, Metrics};

/// What is known of a request beside its tokens.
pub(super) struct Meta {
    pub arrived: Instant,
    pub prompt_tokens: usize,
    pub max_tokens: Option<usize>,
    /// Held for its drop: the place in the queue is free when the sequence has ended. Requests of our own have none,
    /// and do not show in the metrics.
    pub permit: Option<Permit>,
}

struct Stream {
    /// Unbounded, yet never longer than the context: the engine must not wait for a slow reader.
    events: UnboundedSender<Event>,
    meta: Meta,
    started: Option<Instant>,
    first_token: Option<Instant>,
    last_token: Option<Instant>,
    generated_tokens: usize,
}

pub(super) struct Streams<'a> {
    open: HashMap<SeqId, Stream>,
    metrics: &'a Metrics,
}

impl<'a> Streams<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self { open: HashMap::new(), metrics }
    }

    pub(super) fn open(&mut self, id: SeqId, events: UnboundedSender<Event>, meta: Meta) {
        let (started, first_token, last_token) = (None, None, None);
        self.open.insert(id, Stream { events, meta, started, first_token, last_token, generated_tokens: 0 });
    }

    pub(super) fn ids(&self) -> Vec<SeqId> {
        self.open.keys().copied().collect()
    }

    /// Forgets a sequence that its reader ended.
    pub(super) fn close(&mut self, id: SeqId, ended: Ended) {
        if let Some(stream) = self.open.remove(&id) {
            let reason = match ended {
                Ended::Stop => "stop",
                Ended::Abort => "abort",
            };
            self.finished(stream, reason);
        }
    }

    pub(super) fn deliver(&mut self, engine: &mut Engine, effect: Effect) {
        match effect {
            Effect::Started { id } => {
                if let Some(stream) = self.open.get_mut(&id) {
                    stream.started = Some(Instant::now());
                }
            }
            Effect::Scored { id, logprobs } => {
                let Some(stream) = self.open.get(&id) else { return };
                if stream.events.send(Event::Scored(logprobs)).is_err() {
                    engine.cancel(id);
                    self.close(id, Ended::Abort);
                }
            }
            Effect::Token { id, token, logprobs } => {
                let Some(stream) = self.open.get_mut(&id) else { return };
                let now = Instant::now();
                stream.first_token.get_or_insert(now);
                stream.generated_tokens += 1;
                match stream.last_token.replace(now) {
                    _ if stream.meta.permit.is_none() => {}
                    None => self.metrics.first_token(now - stream.meta.arrived, stream.meta.prompt_tokens),
                    Some(last) => self.metrics.next_token(now - last),
                }
                if stream.events.send(Event::Token { token, logprobs }).is_err() {
                    engine.cancel(id);
                    self.close(id, Ended::Abort);
                }
            }
            Effect::Finished { id, reason, usage } => {
                if let Some(stream) = self.open.remove(&id) {
                    let events = stream.events.clone();
                    if stream.meta.permit.is_some() {
                        self.metrics.cache_use(&usage);
                    }
                    // Counted before it is told: whoever has its answer finds it in the metrics.
                    self.finished(stream, reason.as_str());
                    // A reader that has left wants no end either.
                    let _ = events.send(Event::Finished { reason, usage });
                }
            }
            Effect::Failed { id, error } => {
                tracing::error!(sequence = %id, %error, "a sequence failed");
                if let Some(stream) = self.open.remove(&id) {
                    let events = stream.events.clone();
                    self.finished(stream, "error");
                    let _ = events.send(Event::Failed);
                }
            }
        }
    }

    fn finished(&self, stream: Stream, reason: &str) {
        let Stream { meta, started, first_token, last_token, generated_tokens, .. } = stream;
        if let Some(permit) = meta.permit {
            let (arrived, prompt_tokens, max_tokens) = (meta.arrived, meta.prompt_tokens, meta.max_tokens);
            let course =
                Course { arrived, started, first_token, last_token, prompt_tokens, generated_tokens, max_tokens };
            self.metrics.finished(&course, reason);
            drop(permit);
        }
    }
}
