//! Proves that this pod cannot reach what it must not reach, before it opens any weights, and keeps watching.
//!
//! The judgement is pure; a round is one new connection to each target. Only an answered connection counts as
//! reached: an error, a refusal by the firewall, a name that does not resolve and silence are all "blocked". The
//! operator therefore names targets that do listen.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpStream, task::JoinSet, time::Instant};

use crate::app::{App, Unready};

/// Rounds in a row without a reached target that prove the isolation: a policy may take effect late.
pub(crate) const WANTED_ROUNDS: u32 = 3;
/// Rounds that may reach something before it is told: a policy takes effect a moment after its pod starts, and nobody
/// should be alarmed by that. Nothing is served in that time. Three seconds at the proving pace.
const SETTLING_ROUNDS: u32 = 15;

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

/// Counts rounds. Pure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judge {
    blocked_rounds: u32,
    reached: Vec<String>,
    /// Rounds so far, up to [`SETTLING_ROUNDS`]; a proof counts for all of them.
    settled_rounds: u32,
}

impl Judge {
    /// Takes the targets that a round reached.
    pub(crate) fn round(&mut self, reached: Vec<String>) {
        self.blocked_rounds = if reached.is_empty() { self.blocked_rounds.saturating_add(1) } else { 0 };
        self.settled_rounds = if self.is_proven() { SETTLING_ROUNDS } else { self.settled_rounds.saturating_add(1) };
        self.reached = reached;
    }

    /// What was reached, once that is no matter of a moment.
    fn told(&self) -> &[String] {
        if self.settled_rounds >= SETTLING_ROUNDS { &self.reached } else { &[] }
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.blocked_rounds >= WANTED_ROUNDS
    }

    pub(crate) fn unready(&self) -> Unready {
        Unready::isolation_unproven(self.blocked_rounds, WANTED_ROUNDS, self.told())
    }
}

/// Probes the targets of one process.
pub(crate) struct Probe {
    targets: Arc<[String]>,
    pace: Pace,
    judge: Judge,
}

impl Probe {
    pub(crate) fn new(targets: Vec<String>, pace: Pace) -> Self {
        Self { targets: targets.into(), pace, judge: Judge::default() }
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
        tracing::info!(rounds = self.judge.blocked_rounds, targets = self.targets.len(), "isolation proven");
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
        let before = self.judge.told().to_vec();
        self.judge.round(reached(&self.targets, wait).await);
        let told = self.judge.told();
        if !told.is_empty() && told != before {
            tracing::error!(targets = ?told, "this pod reaches what it must not reach");
        }
        app.isolation(self.judge.blocked_rounds, told.to_vec());
    }
}

/// The targets that answer a new connection, in their order.
async fn reached(targets: &Arc<[String]>, wait: Duration) -> Vec<String> {
    let mut attempts = JoinSet::new();
    for n in 0..targets.len() {
        let targets = Arc::clone(targets);
        attempts.spawn(async move {
            let answered = tokio::time::timeout(wait, TcpStream::connect(targets[n].as_str())).await;
            matches!(answered, Ok(Ok(_))).then_some(n)
        });
    }
    let mut found: Vec<usize> = attempts.join_all().await.into_iter().flatten().collect();
    found.sort_unstable();
    found.into_iter().map(|n| targets[n].clone()).collect()
}

#[cfg(test)]
mod tests;
