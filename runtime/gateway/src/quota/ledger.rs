//! The account of one key: what it used of this minute and of this day. Pure; the clock is passed in.

use super::{Left, Limit, Limits, Moment, Refusal, Standing, window::Window};

/// What one key used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    requests: Window,
    tokens: Window,
    day: i64,
    today: u64,
}

/// What was reserved, to be replaced by what was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// When, by the ledger's clock.
    pub(crate) second: u64,
    pub(crate) tokens: u64,
}

impl Ledger {
    /// Begins with what was used of `day` before.
    pub(crate) fn starting(day: i64, today: u64) -> Self {
        Self { day, today, ..Self::default() }
    }

    /// Counts one request and reserves its prompt, if the limits leave room for both.
    pub(crate) fn admit(&mut self, now: Moment, limits: Limits, tokens: u64) -> Result<Reserved, Refusal> {
        self.turn(now);
        // A prompt larger than the whole limit passes once nothing else is counted: its size is a guess.
        let room = |limit: u64| limit.saturating_sub(tokens.min(limit));
        if let Some(limit) = limits.requests_per_minute
            && self.requests.used(now.second) >= limit
        {
            let wait = self.requests.seconds_until(now.second, limit.saturating_sub(1));
            return Err(self.refusal(now, limits, Limit::RequestsPerMinute, wait));
        }
        if let Some(limit) = limits.tokens_per_minute
            && (self.tokens.used(now.second) > room(limit) || self.tokens.used(now.second) >= limit)
        {
            let most = room(limit).min(limit.saturating_sub(1));
            let wait = self.tokens.seconds_until(now.second, most);
            return Err(self.refusal(now, limits, Limit::TokensPerMinute, wait));
        }
        if let Some(limit) = limits.tokens_per_day
            && (self.today > room(limit) || self.today >= limit)
        {
            return Err(self.refusal(now, limits, Limit::TokensPerDay, now.left_today()));
        }
        self.requests.add(now.second, 1);
        self.tokens.add(now.second, tokens);
        self.today = self.today.saturating_add(tokens);
        Ok(Reserved { second: now.second, tokens })
    }

    /// Replaces what was reserved by what was used; without a reservation, counts.
    pub(crate) fn settle(&mut self, now: Moment, reserved: Option<Reserved>, used: u64) {
        self.turn(now);
        if let Some(reserved) = reserved {
            self.tokens.take_back(now.second, reserved.second, reserved.tokens);
            self.today = self.today.saturating_sub(reserved.tokens);
        }
        self.tokens.add(now.second, used);
        self.today = self.today.saturating_add(used);
    }

    /// How it stands.
    pub(crate) fn standing(&mut self, now: Moment, limits: Limits) -> Standing {
        self.turn(now);
        let of = |window: &mut Window, limit: u64| Left {
            limit,
            remaining: limit.saturating_sub(window.used(now.second)),
            reset_seconds: window.seconds_until(now.second, 0),
        };
        let today = self.today;
        let of_day =
            |limit: u64| Left { limit, remaining: limit.saturating_sub(today), reset_seconds: now.left_today() };
        Standing {
            requests: limits.requests_per_minute.map(|limit| of(&mut self.requests, limit)),
            tokens: match limits.tokens_per_minute {
                Some(limit) => Some(of(&mut self.tokens, limit)),
                None => limits.tokens_per_day.map(of_day),
            },
        }
    }

    /// Tokens of today.
    pub(crate) fn today(&mut self, now: Moment) -> u64 {
        self.turn(now);
        self.today
    }

    fn refusal(&mut self, now: Moment, limits: Limits, limit: Limit, wait: u64) -> Refusal {
        Refusal { limit, retry_after_seconds: wait.max(1), standing: self.standing(now, limits) }
    }

    fn turn(&mut self, now: Moment) {
        // A wall clock that is set back does not give the day away again.
        if now.day() > self.day {
            (self.day, self.today) = (now.day(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: u64) -> Moment {
        Moment { second, unix: 1_000_000 + i64::try_from(second).expect("a small number") }
    }

    fn limits(requests: u64, tokens: u64, day: u64) -> Limits {
        let some = |n: u64| (n > 0).then_some(n);
        Limits { requests_per_minute: some(requests), tokens_per_minute: some(tokens), tokens_per_day: some(day) }
    }

    #[test]
    fn requests_are_limited() {
        let mut ledger = Ledger::default();
        let limits = limits(2, 0, 0);
        assert!(ledger.admit(at(0), limits, 1).is_ok());
        assert!(ledger.admit(at(10), limits, 1).is_ok());
        let refused = ledger.admit(at(20), limits, 1).expect_err("the third is over the limit");
        assert_eq!((refused.limit, refused.retry_after_seconds), (Limit::RequestsPerMinute, 41));
        let left = refused.standing.requests.expect("it is limited");
        assert_eq!((left.limit, left.remaining, left.reset_seconds), (2, 0, 51));
        assert!(ledger.admit(at(61), limits, 1).is_ok());
    }

    #[test]
    fn tokens_are_reserved_and_settled() {
        let mut ledger = Ledger::default();
        let limits = limits(0, 100, 0);
        let reserved = ledger.admit(at(0), limits, 60).expect("there is room");
        assert_eq!(ledger.admit(at(0), limits, 60).expect_err("the prompt is reserved").limit, Limit::TokensPerMinute);
        ledger.settle(at(5), Some(reserved), 30);
        assert!(ledger.admit(at(5), limits, 60).is_ok());
        ledger.settle(at(6), None, 500);
        let refused = ledger.admit(at(7), limits, 1).expect_err("the answer was long");
        assert_eq!(refused.retry_after_seconds, 60);
    }

    #[test]
    fn a_prompt_over_the_limit_passes_alone() {
        let mut ledger = Ledger::default();
        assert!(ledger.admit(at(0), limits(0, 10, 0), 1000).is_ok());
        assert!(ledger.admit(at(1), limits(0, 10, 0), 1).is_err());
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let limits = limits(0, 0, 100);
        let now = Moment { second: 0, unix: 86_400 - 10 };
        let mut ledger = Ledger::starting(now.day(), 100);
        let refused = ledger.admit(now, limits, 1).expect_err("the day is used up");
        assert_eq!((refused.limit, refused.retry_after_seconds), (Limit::TokensPerDay, 10));
        let next = Moment { second: 10, unix: 86_400 };
        assert!(ledger.admit(next, limits, 100).is_ok());
        // Set back by an hour: still the new day's count.
        assert!(ledger.admit(Moment { second: 11, unix: 86_400 - 3600 }, limits, 1).is_err());
        assert_eq!(ledger.today(next), 100);
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_the_limit(limit in 1_u64..20, pauses in prop::collection::vec(0_u64..15, 1..200)) {
            let (mut ledger, mut now, mut taken) = (Ledger::default(), 0, Vec::new());
            for pause in pauses {
                now += pause;
                match ledger.admit(at(now), limits(limit, 0, 0), 1) {
                    Ok(_) => taken.push(now),
                    Err(refused) => prop_assert!(ledger
                        .clone()
                        .admit(at(now + refused.retry_after_seconds), limits(limit, 0, 0), 1)
                        .is_ok()),
                }
                let minute = taken.iter().filter(|at| now - **at <= 60).count() as u64;
                prop_assert!(minute <= limit);
            }
        }
    }
}
