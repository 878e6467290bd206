//! How many threads candle may use.
//!
//! Candle sizes its pools once, from the environment; left alone it takes every core of the node, whatever the
//! container's quota says.

use std::num::NonZeroUsize;

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

/// Sets the size of candle's thread pools. Call it before anything else, while the process has one thread.
pub fn set_threads(n: NonZeroUsize) -> Result<(), ThreadsError> {
    let n_threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if n_threads != 1 {
        return Err(ThreadsError::TooLate { n_threads });
    }
    for variable in ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"] {
        // SAFETY: this is the only thread, as was just counted, so nobody reads or writes the environment meanwhile.
        #[expect(unsafe_code, reason = "candle has no other way to be told")]
        unsafe {
            std::env::set_var(variable, n.to_string());
        }
    }
    Ok(())
}

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
