//! What the model pods tell of themselves, asked in the background so that no pass ever waits for a pod. Client required.
//!
//! A pod that is not ready is asked every second, a ready one every half minute. Only when what it tells would change the
//! status is its deployment given a turn: a steady state costs one small request a pod and no write.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alcazar_contract::{
    PROBE_PORT,
    labels::{COMPONENT, COMPONENT_SERVE},
    routes,
    status::ServeStatus,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    pod_http,
    runner::Waker,
    store::{Cached, Key},
};

mod schedule;
#[cfg(test)]
mod tests;

use schedule::{Asked, Entry};

/// How often it is looked whose turn to be asked it is.
const TICK: Duration = Duration::from_millis(500);
/// Requests at a time.
const AT_A_TIME: usize = 32;

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
            if let Some(address) = entry.take_turn(now) {
                let uid = uid.clone();
                requests.spawn(async move { Answer { uid, told: ask(address).await } });
            }
        }
        *entries = there;
    }

    /// Keeps an answer; names the deployment whose status it changes.
    fn hear(&self, answer: Answer, now: Instant) -> Option<Key> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get_mut(&answer.uid)?;
        entry.hear(answer.told, now).then(|| entry.deployment.clone())
    }
}

struct Answer {
    uid: Box<str>,
    told: Option<ServeStatus>,
}

async fn ask(address: IpAddr) -> Option<ServeStatus> {
    pod_http::get_json(SocketAddr::new(address, PROBE_PORT), routes::STATUS).await
}

/// Brings an entry up to date with the pod; none for what is no model pod of ours.
fn follow(known: Option<Entry>, cached: &Cached<Pod>, now: Instant) -> Option<Entry> {
    match known {
        Some(entry) if entry.version == cached.version() => Some(entry),
        known => {
            let pod = cached.parse().ok()?;
            let deployment = cached.owner()?.key.clone();
            let asked = address(&pod).map(|address| Asked { address, ready: is_ready(&pod) });
            Some(Entry::follow(known, cached.version(), deployment, asked, now))
        }
    }
}

/// Where to ask: only running model pods.
fn address(pod: &Pod) -> Option<IpAddr> {
    let label = pod.metadata.labels.as_ref()?.get(COMPONENT)?;
    let status = pod.status.as_ref()?;
    let runs = label == COMPONENT_SERVE && status.phase.as_deref() == Some("Running");
    if runs { status.pod_ip.as_ref()?.parse().ok() } else { None }
}

/// Whether the kubelet says that it serves.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
