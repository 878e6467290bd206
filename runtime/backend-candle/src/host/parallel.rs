//! When the threads pay.

use crate::threads::pool;

/// Rows from which on threads pay, for what is done element by element.
pub(super) const LEAST_ROWS: usize = 16;

/// Calls `f` with each chunk of `out` and its number: with fewer than `least` chunks on this thread, else on all.
pub(super) fn for_each_chunk<T: Send>(out: &mut [T], chunk: usize, least: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    if out.len() < least.saturating_mul(chunk) {
        out.chunks_exact_mut(chunk.max(1)).enumerate().for_each(|(nth, part)| f(nth, part));
    } else {
        pool().for_each_chunk(out, chunk, f);
    }
}
