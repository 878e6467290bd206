//! Where requests ask for leave and tell what they used. The books are here or at another replica.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Limits, Moment, Refusal, Standing,
    books::{Books, Due, Grant, Settlement, Used},
    ledger::Reserved,
    owner::{self, Owner},
    peer::{self, Reply},
};
use crate::{
    key::{Key, Name},
    meter::Tokens,
    metrics::Metrics,
    upstream::fleet::Fleet,
    world::World,
};

/// An owner that did not answer is not asked again for this long.
const AWAY: Duration = Duration::from_secs(1);
/// Settlements that wait for an owner; more of them are added up by key.
const MAX_WAITING: usize = 4096;

/// Leave to go ahead, to be given back with what was used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leave {
    pub(crate) standing: Standing,
    grant: Option<Grant>,
    share: Option<Reserved>,
}

/// One for each process.
#[derive(Debug)]
pub(crate) struct Desk {
    me: String,
    answer_time: Duration,
    began: Instant,
    books: Mutex<Books>,
    outbox: Mutex<Vec<Settlement>>,
    away: Mutex<HashMap<SocketAddr, Instant>>,
    world: watch::Receiver<Arc<World>>,
    fleet: Arc<Fleet>,
    metrics: Arc<Metrics>,
}

impl Desk {
    /// `me`: the pod's name, as its endpoint has it.
    pub(crate) fn new(
        me: String,
        answer_time: Duration,
        world: watch::Receiver<Arc<World>>,
        fleet: Arc<Fleet>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            me,
            answer_time,
            began: Instant::now(),
            books: Mutex::new(Books::new(fastrand::u64(..))),
            outbox: Mutex::default(),
            away: Mutex::default(),
            world,
            fleet,
            metrics,
        })
    }

    fn now(&self) -> Moment {
        Moment { second: self.began.elapsed().as_secs(), unix: Timestamp::now().as_second() }
    }

    fn books<T>(&self, work: impl FnOnce(&mut Books) -> T) -> T {
        work(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn owner(&self, key: &Name) -> Owner {
        owner::of(key, self.world.borrow().peers(), &self.me)
    }

    /// Asks for leave. A key without limits has it.
    pub(crate) async fn ask(&self, key: &Key, tokens: u64) -> Result<Leave, Refusal> {
        if !key.limits.is_limited() {
            return Ok(Leave::default());
        }
        match self.owner(&key.name) {
            Owner::Me => self.decide(key, tokens).map(Leave::granted),
            Owner::Other(address) => match self.ask_owner(address, &key.name, tokens).await {
                Some(Reply::Granted(grant)) => Ok(Leave::granted(grant)),
                Some(Reply::Refused(refusal)) => Err(refusal),
                None => self.ask_share(key.limits, &key.name, tokens),
            },
        }
    }

    /// As the owner.
    pub(super) fn decide(&self, key: &Key, tokens: u64) -> Result<Grant, Refusal> {
        let now = self.now();
        self.books(|books| books.admit(now, &key.name, key.limits, &key.spent, tokens))
    }

    /// A question of another replica; `None`: this one does not know the key.
    pub(super) fn answer(&self, key: &Name, tokens: u64) -> Option<Reply> {
        let key = self.world.borrow().key_named(key).cloned()?;
        Some(match self.decide(&key, tokens) {
            Ok(grant) => Reply::Granted(grant),
            Err(refusal) => Reply::Refused(refusal),
        })
    }

    async fn ask_owner(&self, address: SocketAddr, key: &Name, tokens: u64) -> Option<Reply> {
        let is_away = |away: &HashMap<_, Instant>| away.get(&address).is_some_and(|since| since.elapsed() < AWAY);
        if is_away(&self.away.lock().unwrap_or_else(PoisonError::into_inner)) {
            return None;
        }
        let asked = tokio::time::timeout(self.answer_time, peer::ask(&self.fleet, address, key, tokens)).await;
        if let Ok(Ok(reply)) = asked {
            return reply;
        }
        self.metrics.owner_failures.inc();
        self.away.lock().unwrap_or_else(PoisonError::into_inner).insert(address, Instant::now());
        None
    }

    fn ask_share(&self, limits: Limits, key: &Name, tokens: u64) -> Result<Leave, Refusal> {
        let replicas = self.world.borrow().peers().len() as u64;
        let (now, share) = (self.now(), limits.share(replicas));
        let (reserved, standing) = self.books(|books| books.admit_share(now, key, share, tokens))?;
        Ok(Leave { standing, grant: None, share: Some(reserved) })
    }

    /// Tells what a request used, whatever came of it.
    pub(crate) fn settle(&self, key: &Key, leave: Leave, tokens: Tokens) {
        let now = self.now();
        let used =
            Used { requests: 1, prompt_tokens: tokens.prompt, completion_tokens: tokens.completion, at: now.unix };
        if let Some(reserved) = leave.share {
            self.books(|books| books.settle_share(now, &key.name, reserved, used.tokens()));
        }
        let settlement = Settlement { key: key.name.clone(), grant: leave.grant, used };
        match self.owner(&key.name) {
            Owner::Me => self.books(|books| books.settle(now, &key.spent, &settlement)),
            Owner::Other(_) => self.put_out(vec![settlement]),
        }
    }

    fn put_out(&self, settlements: Vec<Settlement>) {
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        outbox.extend(settlements);
        if outbox.len() > MAX_WAITING {
            let mut sums: BTreeMap<Name, Used> = BTreeMap::new();
            for settlement in outbox.drain(..) {
                sums.entry(settlement.key).or_default().add(&settlement.used);
            }
            outbox.extend(sums.into_iter().map(|(key, used)| Settlement { key, grant: None, used }));
        }
    }

    /// What another replica tells.
    pub(super) fn take_in(&self, settlements: &[Settlement]) {
        let now = self.now();
        for settlement in settlements {
            let spent = self.world.borrow().key_named(&settlement.key).map(|key| key.spent.clone());
            let Some(spent) = spent else { continue };
            self.books(|books| books.settle(now, &spent, settlement));
        }
    }

    /// Sends what other replicas are to know. What does not arrive is sent again the next time.
    pub(crate) async fn send_settlements(&self) {
        let world = Arc::clone(&self.world.borrow());
        let is_mine = |key: &Name| owner::of(key, world.peers(), &self.me) == Owner::Me;
        let given = self.books(|books| books.hand_over(is_mine, |key| world.key_named(key).is_some()));
        self.put_out(given);
        let all = std::mem::take(&mut *self.outbox.lock().unwrap_or_else(PoisonError::into_inner));
        let mut by_owner: HashMap<SocketAddr, Vec<Settlement>> = HashMap::new();
        for settlement in all {
            match owner::of(&settlement.key, world.peers(), &self.me) {
                Owner::Me => self.take_in(&[settlement]),
                Owner::Other(address) => by_owner.entry(address).or_default().push(settlement),
            }
        }
        for (address, settlements) in by_owner {
            if let Err(error) = peer::tell(&self.fleet, address, &settlements).await {
                tracing::debug!(%error, %address, "a replica was not told what keys used; it is told again");
                self.put_out(settlements);
            }
        }
    }

    /// What is to be written into the status of keys now.
    pub(crate) fn due(&self, pause: Duration) -> Vec<Due> {
        let now = self.now();
        self.books(|books| books.due(now, pause.as_secs()))
    }

    /// A write that failed.
    pub(crate) fn unwritten(&self, due: &Due) {
        self.books(|books| books.unwritten(due));
    }
}

impl Leave {
    fn granted(grant: Grant) -> Self {
        Self { standing: grant.standing, grant: Some(grant), share: None }
    }
}
