//! How far a fetch or verification is, for the status route and the log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alcazar_contract::status::FetchStatus;

/// The pace is measured over this long.
const WINDOW: Duration = Duration::from_secs(10);
/// Pace samples are at least this far apart.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// Shared between the workers that count and the route that tells.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    done_bytes: u64,
    total_bytes: u64,
    /// When, and how many bytes this process had moved by then.
    samples: VecDeque<(Instant, u64)>,
    moved_bytes: u64,
}

impl Progress {
    /// What there is to do and what an earlier attempt has done.
    pub(crate) fn begin(&self, done_bytes: u64, total_bytes: u64) {
        self.with(|inner| {
            *inner = Inner { done_bytes, total_bytes, ..Inner::default() };
            inner.samples.push_back((Instant::now(), 0));
        });
    }

    /// The source has told a size that it had not told before.
    pub(crate) fn add_total(&self, bytes: u64) {
        self.with(|inner| inner.total_bytes += bytes);
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.add_at(bytes, Instant::now());
    }

    /// Bytes that turned out to be worthless.
    pub(crate) fn take_back(&self, bytes: u64) {
        self.with(|inner| inner.done_bytes = inner.done_bytes.saturating_sub(bytes));
    }

    fn add_at(&self, bytes: u64, now: Instant) {
        self.with(|inner| {
            inner.done_bytes += bytes;
            inner.moved_bytes += bytes;
            inner.sample(now);
        });
    }

    /// Now, as the status route tells it.
    pub fn snapshot(&self) -> FetchStatus {
        self.snapshot_at(Instant::now())
    }

    fn snapshot_at(&self, now: Instant) -> FetchStatus {
        self.with(|inner| {
            inner.sample(now);
            let bytes_per_second = inner.pace(now);
            let left = inner.total_bytes.saturating_sub(inner.done_bytes);
            FetchStatus {
                done_bytes: inner.done_bytes,
                total_bytes: inner.total_bytes,
                bytes_per_second,
                seconds_left: (bytes_per_second > 0 && inner.total_bytes > 0).then(|| left.div_ceil(bytes_per_second)),
            }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // Counters stay usable whatever a panicking holder left in them.
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn sample(&mut self, now: Instant) {
        let due = self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= SAMPLE_EVERY);
        if due {
            self.samples.push_back((now, self.moved_bytes));
        }
        // One sample at or beyond the window's edge stays as its start.
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    fn pace(&self, now: Instant) -> u64 {
        let Some(&(since, bytes)) = self.samples.front() else { return 0 };
        let millis = u64::try_from(now.duration_since(since).as_millis()).unwrap_or(u64::MAX);
        (self.moved_bytes - bytes).saturating_mul(1000).checked_div(millis).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_and_time_left_follow_the_last_seconds() {
        let progress = Progress::default();
        assert_eq!(progress.snapshot(), FetchStatus::default());
        progress.begin(1000, 10_000);
        let start = Instant::now();
        for second in 1..=4 {
            progress.add_at(500, start + Duration::from_secs(second));
        }
        let status = progress.snapshot_at(start + Duration::from_secs(4));
        assert_eq!((status.done_bytes, status.total_bytes), (3000, 10_000));
        assert!((490..=505).contains(&status.bytes_per_second), "{status:?}");
        assert!((14..=15).contains(&status.seconds_left.expect("known")), "{status:?}");
        let stalled = progress.snapshot_at(start + Duration::from_secs(40));
        assert!(stalled.bytes_per_second < 60, "an old pace is forgotten: {stalled:?}");
    }

    #[test]
    fn bytes_of_an_earlier_attempt_count_as_done_but_not_as_pace() {
        let progress = Progress::default();
        progress.begin(5000, 10_000);
        let status = progress.snapshot_at(Instant::now() + Duration::from_secs(1));
        assert_eq!((status.done_bytes, status.bytes_per_second, status.seconds_left), (5000, 0, None));
    }
}
