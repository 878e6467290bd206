//! One request of a valid key, from its head to the end of its answer. When it is dropped, however that comes, its record is
//! written and what it used is settled.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use hyper::{StatusCode, header::HeaderValue};
use jiff::Timestamp;

use crate::{
    audit::{
        Record,
        prompts::{self, Exchange},
    },
    gateway::Gateway,
    key::{Key, Name},
    meter::Tokens,
    quota::desk::Leave,
    route::Route,
    world::{Model, World},
};

/// The client left before there was an answer; what nginx calls it.
const CLIENT_LEFT: u16 = 499;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Session {
    gateway: Arc<Gateway>,
    key: Arc<Key>,
    began: Instant,
    record: Record,
    /// Absent: nothing was asked of the quota, and nothing is settled.
    leave: Option<Leave>,
    estimated: u64,
    tokens: Tokens,
    /// The world in which the key was last found valid.
    seen: Arc<World>,
    exchange: Option<(Exchange, Vec<u8>)>,
}

impl Session {
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        key: Arc<Key>,
        route: Route,
        request_id: &HeaderValue,
        seen: Arc<World>,
    ) -> Self {
        gateway.metrics.in_flight.inc();
        let record = Record {
            time: Timestamp::now().to_string(),
            request_id: request_id.to_str().unwrap_or_default().to_owned(),
            key: key.name.to_string(),
            namespace: key.name.namespace.clone(),
            route: route.path().to_owned(),
            status: CLIENT_LEFT,
            ..Record::default()
        };
        Self {
            gateway: Arc::clone(gateway),
            key,
            began: Instant::now(),
            record,
            leave: None,
            estimated: 0,
            tokens: Tokens::default(),
            seen,
            exchange: None,
        }
    }

    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    pub(crate) fn names(&mut self, model: &Model) {
        model.name.clone_into(&mut self.record.model);
        model.digest.clone_into(&mut self.record.digest);
    }

    pub(crate) fn has_leave(&mut self, leave: Leave, estimated: u64) {
        (self.leave, self.estimated) = (Some(leave), estimated);
    }

    pub(crate) fn leave(&self) -> Option<&Leave> {
        self.leave.as_ref()
    }

    /// The head of the answer goes out.
    pub(crate) fn answers(&mut self, status: StatusCode) {
        self.record.status = status.as_u16();
    }

    /// The texts are to be kept, as the deployment says.
    pub(crate) fn keeps(&mut self, model: &Model, retention_days: u32, request: &Bytes) {
        let kept = &request[..request.len().min(prompts::MAX_BYTES)];
        let exchange = Exchange {
            model: Name::new(&model.namespace, &model.name),
            retention_days,
            time: self.record.time.clone(),
            request_id: self.record.request_id.clone(),
            key: self.record.key.clone(),
            request: String::from_utf8_lossy(kept).into_owned(),
            answer: String::new(),
        };
        self.exchange = Some((exchange, Vec::new()));
    }

    /// A chunk goes to the client; `None` where nothing is left of it.
    pub(crate) fn passed(&mut self, chunk: Bytes) -> Option<Bytes> {
        if chunk.is_empty() {
            return None;
        }
        self.record.bytes += chunk.len() as u64;
        if let Some((_, answer)) = &mut self.exchange {
            let room = prompts::MAX_BYTES.saturating_sub(answer.len()).min(chunk.len());
            answer.extend_from_slice(&chunk[..room]);
        }
        Some(chunk)
    }

    /// Whether the key is as valid as when the request came.
    pub(crate) fn key_holds(&mut self) -> bool {
        {
            let world = self.gateway.world.borrow();
            if !Arc::ptr_eq(&world, &self.seen) {
                // Changed or not, it must still be the key with this hash.
                let Some(key) = world.key_named(&self.key.name).filter(|key| key.hash.is(&self.key.hash)) else {
                    return false;
                };
                self.key = Arc::clone(key);
                self.seen = Arc::clone(&world);
            }
        }
        self.key.is_valid(Timestamp::now())
    }

    pub(crate) fn key_ended(&self) {
        self.gateway.metrics.streams_ended.inc();
    }

    pub(crate) fn count(&mut self, tokens: impl FnOnce(u64) -> Tokens) {
        self.tokens = tokens(self.estimated);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let gateway = &self.gateway;
        gateway.metrics.in_flight.dec();
        if self.record.status == CLIENT_LEFT && self.leave.is_some() {
            // Leaving early must not be a way around the limits.
            self.tokens = Tokens { prompt: self.estimated, completion: 0 };
        }
        if let Some(leave) = self.leave.take() {
            gateway.desk.settle(&self.key, leave, self.tokens);
        }
        let mut record = std::mem::take(&mut self.record);
        record.prompt_tokens = self.tokens.prompt;
        record.completion_tokens = self.tokens.completion;
        record.milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        gateway.metrics.answered(&record, &self.key.name.name);
        gateway.metrics.counted(&self.key.name.namespace, &self.key.name.name, self.tokens);
        gateway.audit.record(record);
        if let Some((mut exchange, answer)) = self.exchange.take() {
            exchange.answer = String::from_utf8_lossy(&answer).into_owned();
            gateway.audit.exchange(exchange);
        }
    }
}
