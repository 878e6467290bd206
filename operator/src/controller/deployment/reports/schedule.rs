//! When a pod is asked, and whether its answer is news. Pure: the clock is passed in.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use alcazar_contract::status::ServeStatus;
use jiff::Timestamp;

use super::{Report, door::Doors};
use crate::store::Key;

/// Between two questions to a pod that is not ready.
const LOADING: Duration = Duration::from_secs(1);
/// Between two questions to a ready pod.
const READY: Duration = Duration::from_secs(30);
/// Words older than this are not taken for true any more: two answers may be lost.
const FRESH: Duration = Duration::from_secs(90);
/// Longest pause for a pod that does not answer: loading, and ready.
const PATIENCE: [Duration; 2] = [Duration::from_secs(4), READY];

/// Where a pod is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Of every family; never empty. The first is asked for the status.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ready: bool,
}

/// One pod.
#[derive(Debug)]
pub(super) struct Entry {
    /// Resource version at which `asked` was read.
    pub(super) version: u64,
    /// Whose status it changes.
    pub(super) deployment: Key,
    asked: Option<Asked>,
    due: Instant,
    under_way: bool,
    failures: u32,
    told: Option<(Instant, Arc<ServeStatus>)>,
    was_silent: bool,
    /// What came of the attempts at its model port.
    pub(super) door: Doors,
}

impl Entry {
    /// Of a pod that changed or is new. One that has just become ready is asked at once.
    pub(super) fn follow(
        known: Option<Self>,
        version: u64,
        deployment: Key,
        asked: Option<Asked>,
        now: Instant,
    ) -> Self {
        let Some(mut known) = known else {
            return Self {
                version,
                deployment,
                asked,
                due: now,
                under_way: false,
                failures: 0,
                told: None,
                was_silent: false,
                door: Doors::default(),
            };
        };
        if known.asked != asked {
            known.due = now;
            known.failures = 0;
        }
        Self { version, deployment, asked, ..known }
    }

    /// Where to ask now, if it is its turn; it counts as asked until [`Self::hear`].
    pub(super) fn take_turn(&mut self, now: Instant) -> Option<Asked> {
        let asked = self.asked.clone().filter(|_| !self.under_way && self.due <= now)?;
        self.under_way = true;
        Some(asked)
    }

    /// Keeps an answer, or that there was none; says whether the status may change by it.
    pub(super) fn hear(&mut self, told: Option<ServeStatus>, now: Instant) -> bool {
        self.under_way = false;
        let ready = self.asked.as_ref().is_some_and(|asked| asked.ready);
        let Some(told) = told else { return self.miss(ready, now) };
        self.failures = 0;
        self.due = now + if ready { READY } else { LOADING };
        let is_news = self.was_silent || self.told.as_ref().is_none_or(|(_, old)| differ(old, &told));
        self.was_silent = false;
        self.told = Some((now, Arc::new(told)));
        is_news
    }

    /// Keeps where the model port let the operator in; says whether the status may change by it.
    pub(super) fn try_door(&mut self, opened: Vec<SocketAddr>, now: Instant) -> bool {
        let has_moved = self.door.hear(opened, now);
        if self.door.is_in_doubt() {
            self.due = now + LOADING;
        }
        has_moved
    }

    /// No answer: asked again after a longer pause; news once the last words have faded.
    fn miss(&mut self, ready: bool, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let pause = Duration::from_secs(1 << self.failures.min(5));
        self.due = now + pause.min(PATIENCE[usize::from(ready)]);
        let silent = !self.is_fresh(now);
        let is_news = silent && !self.was_silent;
        self.was_silent = silent;
        is_news
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.told.as_ref().is_some_and(|(at, _)| now.saturating_duration_since(*at) < FRESH)
    }

    pub(super) fn report(&self, since: Timestamp, now: Instant) -> Report {
        match &self.told {
            Some((_, told)) if self.is_fresh(now) => Report::Told(Arc::clone(told)),
            None if self.failures == 0 => Report::NotAsked { since },
            _ => Report::Silent,
        }
    }
}

/// Whether two answers differ in what a status shows: not in how long ago or how often something was tried.
fn differ(old: &ServeStatus, new: &ServeStatus) -> bool {
    let verdict = |status: &ServeStatus| {
        let isolation = status.isolation.as_ref();
        isolation.map(|isolation| (super::super::status::isolation::is_proof(isolation), isolation.reached.clone()))
    };
    let plain = |status: &ServeStatus| ServeStatus { isolation: None, ..status.clone() };
    verdict(old) != verdict(new) || plain(old) != plain(new)
}
