//! A sliding minute, in seconds. Pure.

/// One more than a minute has: what was counted late in its second stays for sixty full ones.
const SLOTS: usize = 61;

/// What was counted in each of the last seconds.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    slots: [u64; SLOTS],
    /// The second that was last looked at.
    now: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { slots: [0; SLOTS], now: 0 }
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % SLOTS as u64).unwrap_or(0)
}

impl Window {
    /// Forgets what is older than a minute.
    fn advance(&mut self, second: u64) {
        if second >= self.now + SLOTS as u64 {
            self.slots = [0; SLOTS];
        } else {
            for passed in self.now + 1..=second {
                self.slots[slot(passed)] = 0;
            }
        }
        self.now = self.now.max(second);
    }

    /// What the minute up to now holds.
    pub(crate) fn used(&mut self, second: u64) -> u64 {
        self.advance(second);
        self.slots.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Counts.
    pub(crate) fn add(&mut self, second: u64, n: u64) {
        self.advance(second);
        let slot = &mut self.slots[slot(self.now)];
        *slot = slot.saturating_add(n);
    }

    /// Takes back what was counted at `at`, unless it has left the minute.
    pub(crate) fn take_back(&mut self, second: u64, at: u64, n: u64) {
        self.advance(second);
        if at <= self.now && self.now - at < SLOTS as u64 {
            let slot = &mut self.slots[slot(at)];
            *slot = slot.saturating_sub(n);
        }
    }

    /// Seconds until at most `most` are left of what is counted now.
    pub(crate) fn seconds_until(&mut self, second: u64, most: u64) -> u64 {
        let mut left = self.used(second);
        if left <= most {
            return 0;
        }
        for at in self.now.saturating_sub(SLOTS as u64 - 1)..=self.now {
            left -= self.slots[slot(at)];
            if left <= most {
                return at + SLOTS as u64 - self.now;
            }
        }
        SLOTS as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_a_minute_and_no_longer() {
        let mut window = Window::default();
        window.add(0, 3);
        window.add(30, 4);
        assert_eq!(window.used(60), 7);
        assert_eq!(window.used(61), 4);
        assert_eq!(window.used(90), 4);
        assert_eq!(window.used(91), 0);
        assert_eq!(window.used(100_000), 0);
    }

    #[test]
    fn takes_back_what_is_still_there() {
        let mut window = Window::default();
        window.add(10, 5);
        window.take_back(20, 10, 3);
        assert_eq!(window.used(20), 2);
        window.take_back(100, 10, 2);
        window.take_back(100, 200, 2);
        assert_eq!(window.used(100), 0);
    }

    proptest! {
        #[test]
        fn agrees_with_a_list_of_all_events(events in prop::collection::vec((0_u64..50, 0_u64..9), 1..60)) {
            let (mut window, mut list, mut now) = (Window::default(), Vec::new(), 0);
            for (pause, n) in events {
                now += pause;
                window.add(now, n);
                list.push((now, n));
                let expected: u64 = list.iter().filter(|(at, _)| now - at <= 60).map(|(_, n)| n).sum();
                prop_assert_eq!(window.used(now), expected);
            }
        }

        #[test]
        fn tells_when_there_is_room(events in prop::collection::vec((0_u64..30, 1_u64..9), 1..40), most in 0_u64..40) {
            let (mut window, mut now) = (Window::default(), 0);
            for (pause, n) in events {
                now += pause;
                window.add(now, n);
            }
            let wait = window.seconds_until(now, most);
            prop_assert!(window.clone().used(now + wait) <= most);
            if wait > 0 {
                prop_assert!(window.used(now + wait - 1) > most);
            }
        }
    }
}
