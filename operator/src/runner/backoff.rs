//! How long to wait after a failure: doubling, capped, spread by key so that many objects do not come back as one. Pure.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// After the first failure.
const BASE: Duration = Duration::from_millis(250);
/// Never longer: what is mended outside must heal soon.
const CAP: Duration = Duration::from_secs(15);

/// The wait after `failures` in a row: between a half and the whole of base · 2ⁿ, at most the cap.
#[must_use]
pub fn delay(failures: u32, key: &impl Hash) -> Duration {
    let exponent = failures.saturating_sub(1).min(16);
    let full = BASE.saturating_mul(1 << exponent).min(CAP);
    full.mul_f64(0.5 + 0.5 * fraction(&(failures, Hashed(key))))
}

/// A steady interval, less up to a fifth of it, always the same for one key.
#[must_use]
pub fn less_up_to_a_fifth(interval: Duration, key: &impl Hash) -> Duration {
    interval.mul_f64(1.0 - 0.2 * fraction(key))
}

struct Hashed<'a, K>(&'a K);

impl<K: Hash> Hash for Hashed<'_, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// In 0..1, spread evenly over keys.
fn fraction(key: &impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_stays_there() {
        let mut last = Duration::ZERO;
        for failures in 1..=40 {
            let wait = delay(failures, &"team/a");
            assert!(wait >= BASE / 2 && wait <= CAP, "{wait:?}");
            assert!(wait >= last.mul_f64(0.5) || wait >= CAP / 2, "{failures}: {wait:?} after {last:?}");
            last = wait;
        }
        assert!(delay(40, &"team/a") >= CAP / 2);
    }

    #[test]
    fn spreads_keys_and_is_the_same_for_one() {
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|n| less_up_to_a_fifth(Duration::from_mins(10), &n)).collect();
        assert!(waits.len() > 90);
        assert!(waits.iter().all(|wait| *wait >= Duration::from_mins(8) && *wait <= Duration::from_mins(10)));
        assert_eq!(delay(3, &"x"), delay(3, &"x"));
    }
}
