//! The threads that compute.
//!
//! A pool that waits at the end of every operation for every worker, also for one that has nothing to do and no core to
//! find that out on, costs a pod that shares its cores a scheduler's slice hundreds of times a token.
//! Here a worker counts only from when it takes part: what it does not come for, the caller does itself.
//!
//! ```text
//!  caller:  open(epoch) ─ takes items ─ close ─ waits for those inside
//!  worker:  sees a new epoch ─ goes inside, if still open ─ takes items ─ leaves
//! ```

use std::{
    cell::{Cell, UnsafeCell},
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Turns of an idle worker before it sleeps: some ten microseconds, longer than the pause between two operations.
const SPINS_BEFORE_SLEEP: u32 = 1500;
/// Turns of a caller before it lets others run.
const SPINS_BEFORE_YIELD: u32 = 200;

const OPEN: u64 = 1 << 31;
const INSIDE: u64 = OPEN - 1;
const EPOCH: u64 = 1 << 32;

type Task<'a> = dyn Fn(usize) + Sync + 'a;

/// A fixed set of workers; whoever calls works with them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    /// Held while a task runs.
    turn: Mutex<()>,
}

struct Worker {
    thread: JoinHandle<()>,
    is_asleep: Arc<AtomicBool>,
}

struct Shared {
    /// Epoch, whether it is open, and how many workers are inside.
    gate: AtomicU64,
    next_item: AtomicUsize,
    task: UnsafeCell<Option<(&'static Task<'static>, usize)>>,
    failed: AtomicBool,
    /// The next epoch has no task: the workers shall end.
    is_over: AtomicBool,
}

// SAFETY: `task` is written only between a closed gate with nobody inside and the opening of it, by the holder of `turn`,
// and read only by workers inside; the gate's orderings make the write visible to them.
#[expect(unsafe_code, reason = "the cell's access follows the protocol of the gate")]
unsafe impl Sync for Shared {}

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    /// With the caller, `n_threads` work. The workers end with the pool.
    pub fn new(n_threads: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(0),
            next_item: AtomicUsize::new(0),
            task: UnsafeCell::new(None),
            failed: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let spawn = |nth: usize| {
            let is_asleep = Arc::new(AtomicBool::new(false));
            let builder = thread::Builder::new().name(format!("compute-{nth}"));
            let (shared, asleep) = (Arc::clone(&shared), Arc::clone(&is_asleep));
            // A worker that cannot be started is one that does not come: the others do its part.
            let thread = builder.spawn(move || shared.work(&asleep)).ok()?;
            Some(Worker { thread, is_asleep })
        };
        let workers = (1..n_threads.get()).filter_map(spawn).collect();
        Self { shared, workers, turn: Mutex::new(()) }
    }

    /// The caller's thread included.
    pub const fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `f` with every number below `n_items` once, and returns when all calls have.
    pub fn run(&self, n_items: usize, f: &(dyn Fn(usize) + Sync)) {
        let turn =
            if n_items > 1 && !self.workers.is_empty() && !IS_WORKER.get() { self.turn.try_lock().ok() } else { None };
        let Some(_turn) = turn else {
            (0..n_items).for_each(f);
            return;
        };
        let closing = Closing { shared: &self.shared };
        self.shared.open(f, n_items);
        self.wake();
        self.shared.take_items(f, n_items);
        drop(closing);
        if self.shared.failed.swap(false, Ordering::AcqRel) {
            resume_unwind(Box::new("a part of an operation panicked on a worker"));
        }
    }

    fn wake(&self) {
        for worker in &self.workers {
            if worker.is_asleep.load(Ordering::SeqCst) {
                worker.thread.thread().unpark();
            }
        }
    }

    /// What `f` makes of every number below `n_items`, in order.
    pub fn map<T: Send + Sync>(&self, n_items: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let slots: Vec<OnceLock<T>> = (0..n_items).map(|_| OnceLock::new()).collect();
        self.run(n_items, &|nth| {
            if let Some(slot) = slots.get(nth) {
                slot.get_or_init(|| f(nth));
            }
        });
        slots.into_iter().filter_map(OnceLock::into_inner).collect()
    }

    /// Calls `f` with each whole chunk of `out` and its number.
    pub fn for_each_chunk<T: Send>(&self, out: &mut [T], chunk: usize, f: impl Fn(usize, &mut [T]) + Sync) {
        if chunk == 0 {
            return;
        }
        // Each lock is taken once, by whoever takes the item: the price of a safe hand-over is some nanoseconds.
        let parts: Vec<Mutex<&mut [T]>> = out.chunks_exact_mut(chunk).map(Mutex::new).collect();
        self.run(parts.len(), &|nth| {
            if let Some(mut part) = parts.get(nth).and_then(|part| part.lock().ok()) {
                f(nth, &mut part);
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.shared.gate.fetch_add(EPOCH, Ordering::SeqCst);
        self.wake();
        for worker in self.workers.drain(..) {
            // It catches every panic of a task, so it has none of its own.
            drop(worker.thread.join());
        }
    }
}

/// Closes the gate and waits, also when the caller's own part panics: the task must not be gone before its users.
struct Closing<'a> {
    shared: &'a Shared,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.shared.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0;
        while self.shared.gate.load(Ordering::Acquire) & INSIDE != 0 {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { thread::yield_now() }
        }
    }
}

impl Shared {
    fn open(&self, f: &Task<'_>, n_items: usize) {
        // SAFETY: the caller closes the gate and waits for everybody inside before `f` ends, even when it panics, so no
        // worker uses `f` after its life; it holds `turn` and the gate is closed with nobody inside, so nobody reads the
        // cell now.
        #[expect(unsafe_code, reason = "workers outlive every task")]
        unsafe {
            *self.task.get() = Some((std::mem::transmute::<&Task<'_>, &'static Task<'static>>(f), n_items));
        }
        self.next_item.store(0, Ordering::Relaxed);
        let epoch = self.gate.load(Ordering::Relaxed) & !(OPEN | INSIDE);
        self.gate.store(epoch.wrapping_add(EPOCH) | OPEN, Ordering::SeqCst);
    }

    fn take_items(&self, f: &Task<'_>, n_items: usize) {
        loop {
            let nth = self.next_item.fetch_add(1, Ordering::Relaxed);
            if nth >= n_items {
                return;
            }
            f(nth);
        }
    }

    fn work(&self, asleep: &AtomicBool) {
        IS_WORKER.set(true);
        let mut seen = 0;
        loop {
            seen = self.wait(seen, asleep);
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            if self.enter(seen) {
                // SAFETY: this worker is inside, so the gate was open when it entered and `task` is not written.
                #[expect(unsafe_code, reason = "the cell's access follows the protocol of the gate")]
                let task = unsafe { *self.task.get() };
                let done = task.map(|(f, n_items)| catch_unwind(AssertUnwindSafe(|| self.take_items(f, n_items))));
                if let Some(Err(_)) = done {
                    self.failed.store(true, Ordering::Release);
                }
                self.gate.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// Until there is another epoch than `seen`; answers which.
    fn wait(&self, seen: u64, asleep: &AtomicBool) -> u64 {
        let epoch = || Some(self.gate.load(Ordering::SeqCst) / EPOCH).filter(|epoch| *epoch != seen);
        loop {
            for _ in 0..SPINS_BEFORE_SLEEP {
                if let Some(epoch) = epoch() {
                    return epoch;
                }
                std::hint::spin_loop();
            }
            // Whoever opens an epoch after this line sees the flag; one that was opened before it is seen here.
            asleep.store(true, Ordering::SeqCst);
            if epoch().is_none() {
                thread::park();
            }
            asleep.store(false, Ordering::SeqCst);
        }
    }

    /// Goes inside if that epoch is still open.
    fn enter(&self, epoch: u64) -> bool {
        self.gate
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |gate| {
                (gate / EPOCH == epoch && gate & OPEN != 0).then_some(gate + 1)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(n_threads: usize) -> Pool {
        Pool::new(NonZeroUsize::new(n_threads).unwrap())
    }

    #[test]
    fn every_item_is_done_once_and_before_the_return() {
        for n_threads in [1, 2, 5] {
            let pool = pool(n_threads);
            for n_items in (0..200).chain([5000]) {
                let counts: Vec<AtomicUsize> = (0..n_items).map(|_| AtomicUsize::new(0)).collect();
                pool.run(n_items, &|nth| {
                    counts[nth].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn many_short_tasks_with_pauses_lose_nothing() {
        let pool = pool(3);
        for round in 0..20_000usize {
            let squares = pool.map(round % 7, |nth| nth * nth);
            assert_eq!(squares, (0..round % 7).map(|nth| nth * nth).collect::<Vec<_>>());
            if round % 1000 == 0 {
                thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn chunks_are_visited_once_and_the_rest_left_alone() {
        let pool = pool(3);
        for (length, chunk) in [(0, 3), (2, 3), (3000, 3), (1001, 10), (5, 0)] {
            let mut out = vec![0usize; length];
            pool.for_each_chunk(&mut out, chunk, |nth, part| part.iter_mut().for_each(|x| *x += nth + 1));
            for (at, x) in out.iter().enumerate() {
                let expected = if chunk > 0 && at < length / chunk * chunk { at / chunk + 1 } else { 0 };
                assert_eq!(*x, expected, "{length} {chunk} {at}");
            }
        }
    }

    #[test]
    fn several_callers_and_nested_calls_all_finish() {
        let pool = pool(2);
        let total = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.run(8, &|_| {
                            pool.run(3, &|_| {
                                total.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(total.load(Ordering::Relaxed), 4 * 200 * 8 * 3);
    }

    #[test]
    fn workers_end_with_the_pool() {
        let pool = pool(3);
        let shared = Arc::downgrade(&pool.shared);
        pool.run(100, &|_| {});
        drop(pool);
        assert_eq!(shared.strong_count(), 0);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = pool(3);
        for culprit in 0..40 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(40, &|nth| assert!(nth != culprit, "on purpose"));
            }));
            assert!(result.is_err());
            assert_eq!(pool.map(10, |nth| nth).len(), 10);
        }
    }
}
