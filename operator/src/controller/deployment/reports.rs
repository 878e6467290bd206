//! What the model pods tell of themselves, asked in the background so that no pass ever waits for a pod. Client required.
//!
//! A pod that is not ready is asked every second, a ready one every half minute. With the same turn a ready pod's model
//! port is tried, on which the operator must not get in: that the pod has just answered on its other port shows that the
//! refusal is the firewall's. Only when what it tells would change the status is its deployment given a turn: a steady
//! state costs one small request and one attempt a pod, and no write.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alcazar_contract::{
    MODEL_PORT, PROBE_PORT,
    labels::{COMPONENT, COMPONENT_SERVE},
    routes,
    status::ServeStatus,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    pod_http,
    runner::Waker,
    store::{Cached, Key},
};

mod control;
mod door;
mod schedule;
#[cfg(test)]
mod tests;

use self::schedule::{Asked, Entry};
pub(crate) use self::{
    control::{Answers, Control},
    door::DoorTried,
};

/// How often it is looked whose turn to be asked it is.
const TICK: Duration = Duration::from_millis(500);
/// Requests at a time.
const AT_A_TIME: usize = 32;
/// A connection that is let in opens in milliseconds.
const DOOR_PATIENCE: Duration = Duration::from_secs(1);

/// What a pod told when it was last asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Report {
    /// Nobody has asked it yet.
    NotAsked {
        /// The operator began to ask pods at this moment: what an earlier one learnt still stands.
        since: Timestamp,
    },
    /// It does not answer, or not any more.
    Silent,
    /// Its words, not older than a minute and a half.
    Told(Arc<ServeStatus>),
}

/// What all model pods told.
#[derive(Debug)]
pub(crate) struct Reports {
    since: Timestamp,
    entries: Mutex<HashMap<Box<str>, Entry>>,
}

impl Reports {
    pub(crate) fn new(since: Timestamp) -> Self {
        Self { since, entries: Mutex::default() }
    }

    /// What the pod of that uid told.
    pub(crate) fn of(&self, uid: &str) -> Report {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(uid)
            .map_or(Report::NotAsked { since: self.since }, |entry| entry.report(self.since, Instant::now()))
    }

    /// What came of the attempts at the model port of the pod of that uid.
    pub(crate) fn door(&self, uid: &str) -> DoorTried {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(uid).map_or(DoorTried::NotYet, |entry| entry.door.tried(Instant::now()))
    }

    /// Asks the pods until `stop`.
    pub(crate) async fn run(&self, ctx: &Context, waker: &Waker, stop: &CancellationToken) {
        let mut requests: JoinSet<Answer> = JoinSet::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => self.ask_due(ctx, &mut requests),
                Some(Ok(answer)) = requests.join_next() => {
                    if let Some(deployment) = self.hear(answer, Instant::now()) {
                        waker.wake(deployment);
                    }
                }
            }
        }
    }

    fn ask_due(&self, ctx: &Context, requests: &mut JoinSet<Answer>) {
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut there: HashMap<Box<str>, Entry> = HashMap::with_capacity(entries.len());
        for key in ctx.stores.pods.keys() {
            let Some(cached) = ctx.stores.pods.get(&key) else { continue };
            let known = entries.remove(cached.uid());
            if let Some(entry) = follow(known, &cached, now) {
                there.insert(Box::from(cached.uid()), entry);
            }
        }
        for (uid, entry) in &mut there {
            if requests.len() >= AT_A_TIME {
                break;
            }
            if let Some(asked) = entry.take_turn(now) {
                requests.spawn(ask(uid.clone(), asked));
            }
        }
        *entries = there;
    }

    /// Keeps an answer; names the deployment whose status it changes.
    fn hear(&self, answer: Answer, now: Instant) -> Option<Key> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get_mut(&answer.uid)?;
        let is_news = entry.hear(answer.told, now);
        let has_moved = answer.opened.is_some_and(|opened| entry.try_door(opened, now));
        (is_news || has_moved).then(|| entry.deployment.clone())
    }
}

struct Answer {
    uid: Box<str>,
    told: Option<ServeStatus>,
    /// Addresses at which the model port let the operator in; none when it was not tried.
    opened: Option<Vec<SocketAddr>>,
}

async fn ask(uid: Box<str>, asked: Asked) -> Answer {
    let Some(first) = asked.addresses.first() else { return Answer { uid, told: None, opened: None } };
    let told: Option<ServeStatus> = pod_http::get_json(SocketAddr::new(*first, PROBE_PORT), routes::STATUS).await;
    let opened = if asked.ready && told.is_some() { Some(enter(&asked.addresses).await) } else { None };
    Answer { uid, told, opened }
}

/// A new connection to each address of a pod, closed at once.
async fn enter(addresses: &[IpAddr]) -> Vec<SocketAddr> {
    let mut opened = Vec::new();
    for address in addresses {
        let door = SocketAddr::new(*address, MODEL_PORT);
        if matches!(tokio::time::timeout(DOOR_PATIENCE, TcpStream::connect(door)).await, Ok(Ok(_))) {
            opened.push(door);
        }
    }
    opened
}

/// Brings an entry up to date with the pod; none for what is no model pod of ours.
fn follow(known: Option<Entry>, cached: &Cached<Pod>, now: Instant) -> Option<Entry> {
    match known {
        Some(entry) if entry.version == cached.version() => Some(entry),
        known => {
            let pod = cached.parse().ok()?;
            let deployment = cached.owner()?.key.clone();
            let asked = addresses(&pod).map(|addresses| Asked { addresses, ready: is_ready(&pod) });
            Some(Entry::follow(known, cached.version(), deployment, asked, now))
        }
    }
}

/// Where to ask: only running model pods, at the first of their addresses.
fn addresses(pod: &Pod) -> Option<Vec<IpAddr>> {
    let label = pod.metadata.labels.as_ref()?.get(COMPONENT)?;
    let status = pod.status.as_ref()?;
    if label != COMPONENT_SERVE || status.phase.as_deref() != Some("Running") {
        return None;
    }
    let first: IpAddr = status.pod_ip.as_ref()?.parse().ok()?;
    let all = status.pod_ips.iter().flatten().filter_map(|ip| ip.ip.parse().ok());
    Some(std::iter::once(first).chain(all.filter(|ip| *ip != first)).collect())
}

/// Whether the kubelet says that it serves.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
