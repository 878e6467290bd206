//! Proves that this pod cannot reach what it must not reach, before it opens any weights, and keeps watching.
//!
//! What to try and what to make of it are pure ([`targets`], [`judge`]); a round is one new attempt at each target. Only
//! an answer counts as reached: an error, a refusal by the firewall, a name that does not resolve and silence are all
//! "blocked". So what is tried must be something that listens.

mod attempt;
mod judge;
mod network;
mod targets;

use std::{sync::Arc, time::Duration};

use alcazar_contract::isolation::Target;
use tokio::time::Instant;

pub(crate) use self::targets::Given;
use self::{attempt::reached, judge::Judge};
use crate::app::App;

/// When rounds happen and how long one waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From the start of one proving round to that of the next.
    pub proving: Duration,
    /// How long a proving round waits for an answer; inside a cluster one takes a few milliseconds.
    pub proving_wait: Duration,
    /// Between rounds after the proof.
    pub watching: Duration,
    /// How long a watching round waits.
    pub watching_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            proving: Duration::from_millis(200),
            proving_wait: Duration::from_millis(200),
            watching: Duration::from_secs(10),
            watching_wait: Duration::from_secs(2),
        }
    }
}

/// Probes the targets of one process.
pub(crate) struct Probe {
    given: Given,
    pace: Pace,
    judge: Judge,
}

impl Probe {
    /// None: nothing was given to try.
    pub(crate) fn new(given: Given, pace: Pace) -> Option<Self> {
        (!given.is_empty()).then(|| Self { given, pace, judge: Judge::default() })
    }

    /// Returns once the isolation is proven, however long that takes.
    pub(crate) async fn prove(&mut self, app: &App) {
        while !self.judge.is_proven() {
            let started = Instant::now();
            self.round(app, self.pace.proving_wait).await;
            if self.judge.is_proven() {
                break;
            }
            app.starting(self.judge.unready());
            tokio::time::sleep_until(started + self.pace.proving).await;
        }
        tracing::info!(rounds = self.judge.blocked_rounds(), targets = self.judge.tried().len(), "isolation proven");
    }

    /// Goes on for as long as it is polled.
    pub(crate) async fn watch(mut self, app: Arc<App>) {
        loop {
            self.round(&app, self.pace.watching_wait).await;
            // Where no proof was waited for, it is still wanted soon.
            let is_settled = self.judge.is_proven() || !self.judge.told().is_empty();
            tokio::time::sleep(if is_settled { self.pace.watching } else { self.pace.proving }).await;
        }
    }

    async fn round(&mut self, app: &App, wait: Duration) {
        // Read anew each time: the first attempt is what makes the gateway's hardware address known.
        let network = network::read();
        let tried: Arc<[Target]> = self.given.targets(&network).into();
        let before = self.judge.told().to_vec();
        let reached = reached(&tried, wait).await;
        if network.is_settling && self.given.tries_node() {
            self.judge.partial_round(tried.to_vec(), reached);
        } else {
            self.judge.round(tried.to_vec(), reached);
        }
        let told = self.judge.told();
        if !told.is_empty() && told != before {
            let targets: Vec<String> = told.iter().map(Target::told).collect();
            tracing::error!(?targets, "this pod reaches what it must not reach");
        }
        app.isolation(self.judge.blocked_rounds(), told.to_vec(), tried.to_vec());
    }
}

#[cfg(test)]
mod tests;
