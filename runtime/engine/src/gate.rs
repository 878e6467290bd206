//! Counts what is in flight, so that a full server says so before it spends time on a request.
//!
//! The gate is shared by the HTTP threads and asks nobody: two counters, and a permit that gives back on drop.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Limits on requests and tokens in flight.
#[derive(Clone, Debug)]
pub struct Gate {
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Counters {
    requests: AtomicUsize,
    tokens: AtomicUsize,
    max_requests: usize,
    max_tokens: usize,
}

/// A place; hold it as long as the request lives.
#[derive(Debug)]
pub struct Permit {
    counters: Arc<Counters>,
    tokens: usize,
}

/// There is no place now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to admit the request: {found} {what} are in flight, the limit is {limit}; try again later")]
pub struct Overloaded {
    /// What there is too much of.
    pub what: &'static str,
    /// With this request.
    pub found: usize,
    /// What may be.
    pub limit: usize,
}

impl Gate {
    /// An empty gate.
    pub fn new(max_requests: usize, max_tokens: usize) -> Self {
        let counters = Counters { requests: 0.into(), tokens: 0.into(), max_requests, max_tokens };
        Self { counters: Arc::new(counters) }
    }

    /// Takes a place, or says at once that there is none. A single request may exceed the tokens when it is alone.
    pub fn try_enter(&self, tokens: usize) -> Result<Permit, Overloaded> {
        self.take(1, tokens)?;
        Ok(self.permit(tokens))
    }

    /// Takes so many places for one request of several answers: all or none. The first one carries the tokens.
    pub fn try_enter_many(&self, n: usize, tokens: usize) -> Result<Vec<Permit>, Overloaded> {
        self.take(n, tokens)?;
        Ok((0..n).map(|nth| self.permit(if nth == 0 { tokens } else { 0 })).collect())
    }

    fn permit(&self, tokens: usize) -> Permit {
        Permit { counters: Arc::clone(&self.counters), tokens }
    }

    fn take(&self, n: usize, tokens: usize) -> Result<(), Overloaded> {
        let counters = &self.counters;
        let requests = counters.requests.fetch_add(n, Ordering::AcqRel) + n;
        let all_tokens = counters.tokens.fetch_add(tokens, Ordering::AcqRel).saturating_add(tokens);
        let overloaded = if requests > counters.max_requests {
            Overloaded { what: "requests", found: requests, limit: counters.max_requests }
        } else if all_tokens > counters.max_tokens && requests > n {
            Overloaded { what: "tokens", found: all_tokens, limit: counters.max_tokens }
        } else {
            return Ok(());
        };
        counters.requests.fetch_sub(n, Ordering::AcqRel);
        counters.tokens.fetch_sub(tokens, Ordering::AcqRel);
        Err(overloaded)
    }

    /// Most requests that may hold a place.
    pub fn capacity(&self) -> usize {
        self.counters.max_requests
    }

    /// Requests that hold a place.
    pub fn in_flight(&self) -> usize {
        self.counters.requests.load(Ordering::Acquire)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counters.requests.fetch_sub(1, Ordering::AcqRel);
        self.counters.tokens.fetch_sub(self.tokens, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_places_come_back() {
        let gate = Gate::new(2, 10);
        let first = gate.try_enter(4).unwrap();
        let second = gate.try_enter(6).unwrap();
        assert_eq!(gate.try_enter(0).unwrap_err().what, "requests");
        drop(second);
        assert_eq!(gate.try_enter(7).unwrap_err(), Overloaded { what: "tokens", found: 11, limit: 10 });
        assert_eq!(gate.in_flight(), 1);
        drop(first);
        let _alone = gate.try_enter(99).unwrap();
        assert_eq!(gate.in_flight(), 1);
    }

    #[test]
    fn several_places_are_given_all_or_none() {
        let gate = Gate::new(3, 10);
        let two = gate.try_enter_many(2, 99).unwrap();
        assert_eq!((two.len(), gate.in_flight(), gate.capacity()), (2, 2, 3), "alone it may exceed the tokens");
        assert_eq!(gate.try_enter_many(2, 0).unwrap_err().what, "requests");
        assert_eq!(gate.try_enter(0).unwrap_err().what, "tokens");
        drop(two);
        assert_eq!(gate.in_flight(), 0);
        gate.try_enter_many(3, 10).unwrap();
    }

    #[test]
    fn threads_never_exceed_the_limit() {
        let gate = Gate::new(3, usize::MAX);
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Ok(_permit) = gate.try_enter(1) {
                            assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(gate.in_flight(), 0);
    }
}
