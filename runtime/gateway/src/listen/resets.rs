//! Requests that a client takes back before their answer begins. Opening and resetting streams costs a client two small
//! frames, and the gateway and a pod the beginning of their work, so too many in a short time are a flood (CVE-2023-44487).
//!
//! The bound of h2 does not see it: it counts streams that are reset before they were accepted, and these are accepted at once.

use std::time::Duration;

/// An editor takes back a completion with each keystroke, some ten a second.
const MAX: u32 = 256;
const WINDOW: Duration = Duration::from_secs(10);

/// Those of one connection.
#[derive(Debug, Default)]
pub(super) struct Resets {
    began: Duration,
    count: u32,
}

impl Resets {
    /// One more, at this time; true when they are too many.
    pub(super) fn add(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.began) >= WINDOW {
            *self = Self { began: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count > MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_in_a_short_time_are_too_many() {
        let mut resets = Resets::default();
        assert!((0..MAX).all(|_| !resets.add(Duration::ZERO)));
        assert!(resets.add(WINDOW / 2));
        assert!(!resets.add(WINDOW));
        let mut patient = Resets::default();
        assert!((0..10 * MAX).all(|n| !patient.add(Duration::from_millis(50) * n)));
    }
}
