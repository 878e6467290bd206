//! Counts rounds. Pure.

use alcazar_contract::isolation::{Target, WANTED_ROUNDS};

use crate::app::Unready;

/// Rounds that may reach something before it is told: a policy takes effect a moment after its pod starts, and nobody
/// should be alarmed by that. Nothing is served in that time. Three seconds at the proving pace.
pub(super) const SETTLING_ROUNDS: u32 = 15;

/// What the rounds so far amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judge {
    blocked_rounds: u32,
    reached: Vec<Target>,
    tried: Vec<Target>,
    /// Rounds so far, up to [`SETTLING_ROUNDS`]; a proof counts for all of them.
    settled_rounds: u32,
}

impl Judge {
    /// Takes what a round tried and what of it was reached.
    pub(super) fn round(&mut self, tried: Vec<Target>, reached: Vec<Target>) {
        self.count(tried, reached, true);
    }

    /// The same of a round in which not everything could be tried: it can break a proof and not make one.
    pub(super) fn partial_round(&mut self, tried: Vec<Target>, reached: Vec<Target>) {
        self.count(tried, reached, self.is_proven());
    }

    fn count(&mut self, tried: Vec<Target>, reached: Vec<Target>, counts: bool) {
        // What no earlier round tried was not blocked in it either. After a proof, one more target is one more to watch.
        let is_new = !self.is_proven() && tried.iter().any(|target| !self.tried.contains(target));
        let before = if is_new { 0 } else { self.blocked_rounds };
        self.blocked_rounds =
            if counts && reached.is_empty() && !tried.is_empty() { before.saturating_add(1) } else { 0 };
        self.settled_rounds = if self.is_proven() { SETTLING_ROUNDS } else { self.settled_rounds.saturating_add(1) };
        (self.tried, self.reached) = (tried, reached);
    }

    /// What was reached, once that is no matter of a moment.
    pub(super) fn told(&self) -> &[Target] {
        if self.settled_rounds >= SETTLING_ROUNDS { &self.reached } else { &[] }
    }

    /// What the last round tried.
    pub(super) fn tried(&self) -> &[Target] {
        &self.tried
    }

    /// Rounds in a row in which nothing was reached.
    pub(super) fn blocked_rounds(&self) -> u32 {
        self.blocked_rounds
    }

    pub(super) fn is_proven(&self) -> bool {
        self.blocked_rounds >= WANTED_ROUNDS
    }

    pub(super) fn unready(&self) -> Unready {
        Unready::isolation_unproven(self.blocked_rounds, WANTED_ROUNDS, self.told())
    }
}

#[cfg(test)]
mod tests;
