//! Who is connected, and who goes when it is full.
//!
//! A newcomer takes the place of the connection that has been without a request for longest, those that never showed a key
//! first. So ten thousand connections that only sit there cost their own places, and nobody else's.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use super::resets::Resets;
use crate::tls;

/// All connections of a process.
#[derive(Debug)]
pub(crate) struct Crowd {
    max: usize,
    began: Instant,
    next: AtomicU64,
    seats: Mutex<HashMap<u64, Arc<Seat>>>,
    /// Newcomers that were turned away, and connections that made place.
    pub(crate) refused: AtomicU64,
    pub(crate) evicted: AtomicU64,
    /// Connections that were cut because they took back too many requests.
    pub(crate) flooding: AtomicU64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Seat {
    id: u64,
    began: Instant,
    /// Requests under way.
    busy: AtomicUsize,
    /// Milliseconds after `began`.
    idle_since: AtomicU64,
    /// Whether a valid key was ever shown.
    is_known: AtomicBool,
    is_gateway: AtomicBool,
    resets: Mutex<Resets>,
    is_flood: AtomicBool,
    leave: CancellationToken,
}

/// A seat that is given up when dropped.
#[derive(Debug)]
pub(crate) struct Seated {
    crowd: Arc<Crowd>,
    seat: Arc<Seat>,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Work {
    seat: Arc<Seat>,
    is_answered: bool,
}

impl Crowd {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            began: Instant::now(),
            next: AtomicU64::new(0),
            seats: Mutex::default(),
            refused: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            flooding: AtomicU64::new(0),
        })
    }

    /// None while everybody is busy.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Seated> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.len() >= self.max {
            let idle = seats.values().filter(|seat| seat.busy.load(Ordering::Relaxed) == 0);
            let first = idle.min_by_key(|seat| (seat.is_known(), seat.idle_since.load(Ordering::Relaxed)));
            let Some(first) = first.map(|seat| seat.id) else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            if let Some(seat) = seats.remove(&first) {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                seat.leave.cancel();
            }
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let seat = Arc::new(Seat {
            id,
            began: self.began,
            busy: AtomicUsize::new(0),
            idle_since: AtomicU64::new(millis(self.began.elapsed())),
            is_known: AtomicBool::new(false),
            is_gateway: AtomicBool::new(false),
            resets: Mutex::default(),
            is_flood: AtomicBool::new(false),
            leave: CancellationToken::new(),
        });
        seats.insert(id, Arc::clone(&seat));
        Some(Seated { crowd: Arc::clone(self), seat })
    }

    /// Open connections.
    pub(crate) fn len(&self) -> usize {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Seat {
    /// A valid key was shown.
    pub(crate) fn known(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// Whether it showed the certificate of a gateway.
    pub(crate) fn is_gateway(&self) -> bool {
        self.is_gateway.load(Ordering::Relaxed)
    }

    /// A request begins; it ends when the guard is dropped.
    pub(crate) fn work(self: &Arc<Self>) -> Work {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Work { seat: Arc::clone(self), is_answered: false }
    }

    /// A request was taken back before its answer began.
    fn reset(&self) {
        if self.resets.lock().unwrap_or_else(PoisonError::into_inner).add(self.began.elapsed()) {
            self.is_flood.store(true, Ordering::Relaxed);
            self.leave.cancel();
        }
    }

    fn idle(&self) -> Option<Duration> {
        let since = Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
        (self.busy.load(Ordering::Relaxed) == 0).then(|| self.began.elapsed().saturating_sub(since))
    }
}

impl Work {
    /// Its answer begins.
    pub(crate) fn answered(&mut self) {
        self.is_answered = true;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.seat.idle_since.store(millis(self.seat.began.elapsed()), Ordering::Relaxed);
        self.seat.busy.fetch_sub(1, Ordering::Relaxed);
        if !self.is_answered {
            self.seat.reset();
        }
    }
}

impl Seated {
    pub(crate) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat)
    }

    /// Its certificates, verified.
    pub(crate) fn showed(&self, certificates: Option<&[CertificateDer<'_>]>) {
        self.seat.is_gateway.store(tls::is_gateway(certificates), Ordering::Relaxed);
    }

    pub(crate) async fn told_to_leave(&self) {
        self.seat.leave.cancelled().await;
    }

    /// Until it has been without a request for so long.
    pub(crate) async fn idle_for(&self, time: Duration) {
        loop {
            let idle = self.seat.idle().unwrap_or_default();
            if idle >= time {
                return;
            }
            tokio::time::sleep(time.saturating_sub(idle)).await;
        }
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        if self.seat.is_flood.load(Ordering::Relaxed) {
            self.crowd.flooding.fetch_add(1, Ordering::Relaxed);
        }
        self.crowd.seats.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.seat.id);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause() {
        std::thread::sleep(Duration::from_millis(3));
    }

    fn is_told(seated: &Seated) -> bool {
        seated.seat.leave.is_cancelled()
    }

    #[test]
    fn the_longest_idle_stranger_makes_place() {
        let crowd = Crowd::new(3);
        let known = crowd.enter().expect("there is a seat");
        known.seat().known();
        pause();
        let stranger = crowd.enter().expect("there is a seat");
        pause();
        let later = crowd.enter().expect("there is a seat");
        let newcomer = crowd.enter().expect("somebody leaves");
        assert_eq!((is_told(&known), is_told(&stranger), is_told(&later)), (false, true, false));
        drop(stranger);
        assert_eq!(crowd.len(), 3);
        drop(newcomer);
        assert_eq!(crowd.len(), 2);
    }

    #[test]
    fn who_is_busy_stays() {
        let crowd = Crowd::new(1);
        let first = crowd.enter().expect("there is a seat");
        let work = first.seat().work();
        assert!(crowd.enter().is_none());
        drop(work);
        assert!(crowd.enter().is_some());
        assert!(is_told(&first));
        assert_eq!((crowd.refused.load(Ordering::Relaxed), crowd.evicted.load(Ordering::Relaxed)), (1, 1));
    }
}
