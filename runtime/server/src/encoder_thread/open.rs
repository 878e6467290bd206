//! Requests whose texts wait or run.

use std::{collections::HashMap, time::Instant};

use alcazar_engine::{
    Permit,
    packer::{Pack, Packer},
};
use tokio::sync::oneshot;

use super::{EncodeError, Rows, Submission};
use crate::metrics::{Course, Metrics};

struct Open {
    /// `None`: has not run yet.
    rows: Vec<Option<Rows>>,
    /// Rows that each text gives.
    counts: Vec<usize>,
    n_tokens: usize,
    reply: oneshot::Sender<Result<Vec<Rows>, EncodeError>>,
    arrived: Instant,
    permit: Option<Permit>,
}

pub(super) struct Requests<'a> {
    open: HashMap<u64, Open>,
    next: u64,
    metrics: &'a Metrics,
}

impl<'a> Requests<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self { open: HashMap::new(), next: 0, metrics }
    }

    pub(super) fn open(&mut self, packer: &mut Packer, submission: Submission) {
        let Submission { texts, reply, arrived, permit } = submission;
        if texts.is_empty() {
            // Nobody minds when the caller has left.
            let _ = reply.send(Ok(vec![]));
            return;
        }
        let id = self.next;
        self.next += 1;
        let open = Open {
            rows: texts.iter().map(|_| None).collect(),
            // Heads of whole texts want no token and give one row.
            counts: texts.iter().map(|text| text.wanted.len().max(1)).collect(),
            n_tokens: texts.iter().map(|text| text.tokens.len()).sum(),
            reply,
            arrived,
            permit,
        };
        self.open.insert(id, open);
        self.metrics.open_requests(self.open.len());
        packer.push(id, texts);
    }

    pub(super) fn forget_those_that_left(&mut self, packer: &mut Packer) {
        let left: Vec<u64> = self.open.iter().filter(|(_, open)| open.reply.is_closed()).map(|(id, _)| *id).collect();
        for id in left {
            packer.remove(id);
            self.close(id, "abort");
        }
    }

    pub(super) fn deliver(&mut self, packer: &mut Packer, pack: &Pack, rows: Rows) {
        let mut rows = rows.into_iter();
        for place in &pack.places {
            let Some(open) = self.open.get_mut(&place.request) else { continue };
            let n_rows = open.counts.get(place.nth).copied().unwrap_or(1);
            if let Some(slot) = open.rows.get_mut(place.nth) {
                *slot = Some(rows.by_ref().take(n_rows).collect());
            }
            if open.rows.iter().all(Option::is_some) {
                self.finish(packer, place.request);
            }
        }
    }

    fn finish(&mut self, packer: &mut Packer, request: u64) {
        packer.remove(request);
        if let Some(Open { n_tokens, permit, reply, rows, .. }) = self.close(request, "stop") {
            self.metrics.computed(n_tokens);
            // Its place is free before it is told: whoever has its answer may ask again.
            drop(permit);
            let _ = reply.send(Ok(rows.into_iter().flatten().collect()));
        }
    }

    pub(super) fn fail(&mut self, packer: &mut Packer, request: u64) {
        packer.remove(request);
        if let Some(Open { permit, reply, .. }) = self.close(request, "error") {
            drop(permit);
            let _ = reply.send(Err(EncodeError::Failed));
        }
    }

    fn close(&mut self, request: u64, reason: &str) -> Option<Open> {
        let open = self.open.remove(&request)?;
        let course = Course {
            arrived: open.arrived,
            started: None,
            first_token: None,
            last_token: None,
            prompt_tokens: open.n_tokens,
            generated_tokens: 0,
            max_tokens: None,
        };
        self.metrics.finished(&course, reason);
        self.metrics.open_requests(self.open.len());
        Some(open)
    }
}
