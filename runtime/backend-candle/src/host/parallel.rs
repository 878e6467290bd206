//! Spreads work over candle's own threads, so that there is one pool and no oversubscription.

use candle_core::utils::barrier_pool;

/// Calls `f` with each chunk of `out` and its number. With fewer than `least` chunks on this thread, else on all.
pub(super) fn for_each_chunk<T: Send>(out: &mut [T], chunk: usize, least: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    if chunk == 0 {
        return;
    }
    let n_chunks = out.len() / chunk;
    if n_chunks < least.max(2) {
        out.chunks_exact_mut(chunk).enumerate().for_each(|(nth, part)| f(nth, part));
        return;
    }
    let base = Base(out.as_mut_ptr());
    barrier_pool().execute_chunked(n_chunks, |range| {
        for nth in range {
            // SAFETY: the pool hands out every number below n_chunks once, so each part is lent once; the parts do not
            // overlap, lie within `out`, and the pool returns only when all of them are given back.
            #[expect(unsafe_code, reason = "disjoint parts of one slice on several threads")]
            let part = unsafe { std::slice::from_raw_parts_mut(base.part(nth * chunk), chunk) };
            f(nth, part);
        }
    });
}

struct Base<T>(*mut T);

impl<T> Base<T> {
    const fn part(&self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }
}

// SAFETY: it only carries the address into the closure above, which says why its use is sound; T may be sent.
#[expect(unsafe_code, reason = "a pointer does not cross threads by itself")]
unsafe impl<T: Send> Sync for Base<T> {}

#[cfg(test)]
mod tests {
    use super::for_each_chunk;

    #[test]
    fn every_chunk_is_visited_once_and_the_rest_left_alone() {
        for (length, chunk) in [(0, 3), (2, 3), (3000, 3), (1001, 10), (5, 0)] {
            let mut out = vec![0usize; length];
            for_each_chunk(&mut out, chunk, 2, |nth, part| part.iter_mut().for_each(|x| *x += nth + 1));
            for (at, x) in out.iter().enumerate() {
                let expected = if chunk > 0 && at < length / chunk * chunk { at / chunk + 1 } else { 0 };
                assert_eq!(*x, expected, "{length} {chunk} {at}");
            }
        }
    }
}
