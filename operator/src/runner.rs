//! Gives each object of a kind its turn: a bounded number of passes at a time, backoff for those that fail. Client required.

use std::{
    collections::HashMap,
    error::Error,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{sync::mpsc, task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    context::Context,
    queue::{Lane, Queue},
    store::{Key, Kind},
};

pub mod backoff;
#[cfg(test)]
mod tests;
mod turn;

use turn::turn;

/// Passes of one controller at a time. Enough to keep a slow API server busy, few enough to bound memory and connections.
const PASSES_AT_A_TIME: usize = 8;
/// First visits come on top: they are one small write each.
const FIRST_VISITS_AT_A_TIME: usize = 24;
/// How long first visits keep all passes back: new objects are told of before the API server is loaded with children.
const LONGEST_HOLD: Duration = Duration::from_secs(1);
/// Passes at a time when first visits go on for longer.
const PASSES_BESIDE_FIRST_VISITS: usize = 2;
/// Every object is looked at this often even if nothing happens, less up to a fifth by key: watches may lie.
const RESYNC: Duration = Duration::from_mins(10);

/// What a pass asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    requeue: Option<Duration>,
}

impl Action {
    /// Nothing to do until something changes.
    #[must_use]
    pub const fn await_change() -> Self {
        Self { requeue: None }
    }

    /// Look again after that time, or earlier if something changes.
    #[must_use]
    pub const fn requeue_after(delay: Duration) -> Self {
        Self { requeue: Some(delay) }
    }

    /// The earlier of two wishes.
    #[must_use]
    pub fn or_sooner(self, other: Self) -> Self {
        Self { requeue: [self.requeue, other.requeue].into_iter().flatten().min() }
    }
}

/// What to do about a failed pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Nothing helps but a change of the object.
    Await,
    /// Try again after that time.
    RequeueAfter(Duration),
    /// Try again, later each time.
    Backoff,
}

/// An error of a pass.
pub trait PassError: Error + Send + 'static {
    /// What to do about it.
    fn class(&self) -> ErrorClass;
    /// Of a closed set: the only source of metric labels.
    fn reason(&self) -> &'static str;
}

/// The controller of one kind.
pub trait Controller: Send + Sync + 'static {
    /// What it looks after.
    type Kind: Kind;
    /// What a pass can fail with.
    type Error: PassError;
    /// Lower-case, for metrics and logs.
    const NAME: &'static str;

    /// The status of an object that nobody has looked at: all known conditions, unknown. Pure. `None`: it has been visited.
    fn first_status(&self, ctx: &Context, object: &Self::Kind) -> Option<impl Serialize + Send + Sync>;

    /// One pass. It does not know why it was called.
    fn reconcile(&self, ctx: &Context, object: Self::Kind) -> impl Future<Output = Result<Action, Self::Error>> + Send;
}

/// Wakes objects of one kind.
#[derive(Clone, Debug)]
pub struct Waker(mpsc::UnboundedSender<Key>);

impl Waker {
    /// A waker and what it wakes.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Key>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Gives the object a turn soon.
    pub fn wake(&self, key: Key) {
        // The receiver is gone only when the operator ends.
        let _ = self.0.send(key);
    }
}

struct Finished {
    key: Key,
    lane: Lane,
    next: Next,
}

enum Next {
    /// First status written: the real pass now.
    Visit,
    Requeue(Duration),
    Failed,
    Await,
    /// The object is gone: forget all about it.
    Forget,
}

/// Runs the controller until `stop`; passes that run then are finished.
pub async fn run<C: Controller>(
    controller: C,
    ctx: Arc<Context>,
    mut wakes: mpsc::UnboundedReceiver<Key>,
    stop: CancellationToken,
) {
    let controller = Arc::new(controller);
    let mut queue = Queue::default();
    let mut failures: HashMap<Key, u32> = HashMap::new();
    let mut passes: JoinSet<Finished> = JoinSet::new();
    let mut busy = Busy::default();
    loop {
        while let Some((key, lane)) = busy.take(&mut queue, Instant::now()) {
            passes.spawn(turn(Arc::clone(&controller), Arc::clone(&ctx), key, lane));
        }
        let idle_until = busy.wakes(&queue, Instant::now());
        tokio::select! {
            () = stop.cancelled() => break,
            Some(key) = wakes.recv() => {
                admit::<C>(&ctx, &mut queue, key);
                while let Ok(key) = wakes.try_recv() {
                    admit::<C>(&ctx, &mut queue, key);
                }
            }
            Some(joined) = passes.join_next() => match joined {
                Ok(finished) => {
                    busy.release(finished.lane);
                    settle(&mut queue, &mut failures, finished);
                }
                // `turn` catches panics; only an aborted runtime gets here.
                Err(source) => error!(controller = C::NAME, %source, "a pass was lost"),
            },
            () = sleep_until(idle_until) => {}
        }
    }
    while passes.join_next().await.is_some() {}
}

/// How many passes of each lane run.
#[derive(Default)]
struct Busy {
    first: usize,
    normal: usize,
    /// When the first visits began that run now.
    held: Option<Instant>,
}

impl Busy {
    fn take(&mut self, queue: &mut Queue<Key>, now: Instant) -> Option<(Key, Lane)> {
        if self.first < FIRST_VISITS_AT_A_TIME
            && let Some(key) = queue.pop_lane(Lane::First, now)
        {
            self.first += 1;
            self.held.get_or_insert(now);
            return Some((key, Lane::First));
        }
        if self.normal < self.most_passes(now)
            && let Some(key) = queue.pop_lane(Lane::Normal, now)
        {
            self.normal += 1;
            return Some((key, Lane::Normal));
        }
        None
    }

    fn release(&mut self, lane: Lane) {
        match lane {
            Lane::First => self.first = self.first.saturating_sub(1),
            Lane::Normal => self.normal = self.normal.saturating_sub(1),
        }
        if self.first == 0 {
            self.held = None;
        }
    }

    fn most_passes(&self, now: Instant) -> usize {
        match self.held {
            None => PASSES_AT_A_TIME,
            Some(since) if now >= since + LONGEST_HOLD => PASSES_BESIDE_FIRST_VISITS,
            Some(_) => 0,
        }
    }

    /// When there is something to do, if nothing else happens: what is full waits for its passes to end.
    fn wakes(&self, queue: &Queue<Key>, now: Instant) -> Option<Instant> {
        if self.normal < self.most_passes(now) && self.first < FIRST_VISITS_AT_A_TIME {
            return queue.next_due();
        }
        self.held.map(|since| since + LONGEST_HOLD).filter(|end| *end > now)
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// An object without a status waits in the first lane.
fn admit<C: Controller>(ctx: &Context, queue: &mut Queue<Key>, key: Key) {
    let unvisited = C::Kind::store(&ctx.stores).get(&key).is_some_and(|object| object.is_unvisited());
    let lane = if unvisited { Lane::First } else { Lane::Normal };
    queue.push(key, lane, Instant::now());
}

fn settle(queue: &mut Queue<Key>, failures: &mut HashMap<Key, u32>, finished: Finished) {
    let Finished { key, next, .. } = finished;
    queue.done(&key);
    let resync = backoff::less_up_to_a_fifth(RESYNC, &key);
    let delay = match next {
        Next::Visit => Duration::ZERO,
        Next::Requeue(delay) => {
            failures.remove(&key);
            delay.min(resync)
        }
        Next::Await => {
            failures.remove(&key);
            resync
        }
        Next::Failed => {
            let count = failures.entry(key.clone()).or_default();
            *count = count.saturating_add(1);
            backoff::delay(*count, &key)
        }
        Next::Forget => {
            failures.remove(&key);
            return;
        }
    };
    queue.push(key, Lane::Normal, Instant::now() + delay);
}
