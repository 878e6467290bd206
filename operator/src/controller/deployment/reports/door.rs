//! What came of the operator's attempts at a model port that must not let it in. Pure: the clock is passed in.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Attempts in a row that must get in before it is told: a policy takes effect a moment after a pod is there.
const ATTEMPTS: u32 = 3;
/// An attempt older than this proves nothing about now: two may be lost.
const FRESH: Duration = Duration::from_secs(90);

/// What came of the attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum DoorTried {
    /// None is fresh, or none is settled.
    #[default]
    NotYet,
    /// The last one was refused, although the pod answered on its other port.
    Shut,
    /// Several in a row got in, there.
    Open(Vec<SocketAddr>),
}

/// The attempts at one pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Doors {
    settled: Option<(Instant, DoorTried)>,
    n_opened: u32,
}

impl Doors {
    /// Takes where an attempt got in; says whether what is told of it changes.
    pub(super) fn hear(&mut self, opened: Vec<SocketAddr>, now: Instant) -> bool {
        self.n_opened = if opened.is_empty() { 0 } else { self.n_opened.saturating_add(1) };
        if self.is_in_doubt() {
            return false;
        }
        let before = self.tried(now);
        let tried = if opened.is_empty() { DoorTried::Shut } else { DoorTried::Open(opened) };
        let has_moved = before != tried;
        self.settled = Some((now, tried));
        has_moved
    }

    /// The last attempt got in, and it takes more of them to tell.
    pub(super) fn is_in_doubt(&self) -> bool {
        (1..ATTEMPTS).contains(&self.n_opened)
    }

    pub(super) fn tried(&self, now: Instant) -> DoorTried {
        let fresh = self.settled.as_ref().filter(|(at, _)| now.saturating_duration_since(*at) < FRESH);
        fresh.map(|(_, tried)| tried.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn there() -> Vec<SocketAddr> {
        vec!["10.1.2.3:8443".parse().unwrap()]
    }

    #[test]
    fn one_refusal_settles_it_and_three_openings() {
        let (now, mut doors) = (Instant::now(), Doors::default());
        assert_eq!(doors.tried(now), DoorTried::NotYet);
        assert!(doors.hear(Vec::new(), now) && !doors.hear(Vec::new(), now));
        assert_eq!(doors.tried(now), DoorTried::Shut);
        for n in 1..ATTEMPTS {
            assert!(!doors.hear(there(), now + n * SECOND) && doors.is_in_doubt(), "it may be a moment's matter");
            assert_eq!(doors.tried(now), DoorTried::Shut);
        }
        assert!(doors.hear(there(), now + 3 * SECOND) && !doors.is_in_doubt());
        assert_eq!(doors.tried(now + 3 * SECOND), DoorTried::Open(there()));
        assert!(!doors.hear(there(), now + 4 * SECOND), "still open is no news");
        assert!(doors.hear(Vec::new(), now + 5 * SECOND));
    }

    #[test]
    fn an_attempt_fades() {
        let (now, mut doors) = (Instant::now(), Doors::default());
        doors.hear(Vec::new(), now);
        assert_eq!(doors.tried(now + 89 * SECOND), DoorTried::Shut);
        assert_eq!(doors.tried(now + 91 * SECOND), DoorTried::NotYet);
    }
}
