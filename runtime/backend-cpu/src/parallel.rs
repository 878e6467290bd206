//! When the threads pay.

use crate::pool::Pool;

/// Rows from which on threads pay, for what is done element by element.
pub(crate) const LEAST_ROWS: usize = 16;

/// Calls `f` with each chunk of `out` and its number: with fewer than `least` chunks on this thread, else on all.
pub(crate) fn for_each_chunk<T: Send>(
    pool: &Pool,
    out: &mut [T],
    chunk: usize,
    least: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    if out.len() < least.saturating_mul(chunk) {
        out.chunks_exact_mut(chunk.max(1)).enumerate().for_each(|(nth, part)| f(nth, part));
    } else {
        pool.for_each_chunk(out, chunk, f);
    }
}

/// Calls `f` with each row and its number.
pub(crate) fn for_each_row(pool: &Pool, out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    for_each_chunk(pool, out, width, LEAST_ROWS, f);
}
