//! How many threads compute.
//!
//! There is one pool, ours. Candle's own pools get a single thread each, the one that calls: they would take every core
//! of the node whatever the container's quota says, and their threads would fight with ours.

use std::{num::NonZeroUsize, sync::OnceLock};

use crate::pool::Pool;

static N_THREADS: OnceLock<NonZeroUsize> = OnceLock::new();
static POOL: OnceLock<Pool> = OnceLock::new();

/// The number could not be set any more.
#[derive(Debug, thiserror::Error)]
pub enum ThreadsError {
    /// Another thread might read the environment at the same time.
    #[error("failed to set the number of threads: {n_threads} threads run already, expected 1; set it first in main")]
    TooLate {
        /// Threads of the process.
        n_threads: usize,
    },
}

/// Sets the number of threads that compute. Call it before anything else, while the process has one thread.
///
/// Without it candle's own pools do the work.
pub fn set_threads(n: NonZeroUsize) -> Result<(), ThreadsError> {
    let n_threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if n_threads != 1 {
        return Err(ThreadsError::TooLate { n_threads });
    }
    for variable in ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"] {
        // SAFETY: this is the only thread, as was just counted, so nobody reads or writes the environment meanwhile.
        #[expect(unsafe_code, reason = "candle has no other way to be told")]
        unsafe {
            std::env::set_var(variable, "1");
        }
    }
    // A second call finds the first one's threads running.
    N_THREADS.get_or_init(|| n);
    Ok(())
}

pub(crate) fn pool() -> &'static Pool {
    POOL.get_or_init(|| Pool::new(N_THREADS.get().copied().unwrap_or(DEFAULT)))
}

/// Tests run with workers beside candle's; programs that did not set a number leave the work to candle's pools.
const DEFAULT: NonZeroUsize = NonZeroUsize::new(if cfg!(test) { 3 } else { 1 }).expect("should be positive");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_refused_when_there_are_threads() {
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(set_threads(NonZeroUsize::MIN).is_err()));
        });
    }
}
