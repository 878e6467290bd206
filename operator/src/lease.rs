//! Leader election by one Lease: a pure decision, and the IO around it.
//!
//! Two replicas may overlap for a moment (clocks, pauses), so writes are safe without it; the Lease keeps them from working
//! against each other. A leader that cannot renew stops before the Lease runs out for the others. The times are those that
//! Kubernetes' own controllers use: an API server under load answers late, and to lose the Lease then adds to the load.
//!
//! What a crash would cost in time, the pod's uid saves: a container that starts takes the Lease of the one before it in the
//! same pod at once. That one has ended, since a pod stays on its node and the kubelet starts a container only after the last
//! one is gone. A name alone would not do: a lost node may still run a pod whose name is in use again.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

#[cfg(test)]
mod tests;

/// Name of the Lease in the operator's namespace.
pub const NAME: &str = "alcazar-operator";
/// A holder that has not renewed for this long has lost it.
pub const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews and the others look.
pub const PERIOD: Duration = Duration::from_secs(2);
/// A holder that could not renew for this long stops leading: before the others may begin.
const GIVE_UP: Duration = Duration::from_secs(10);
/// One call must not take longer than this.
const CALL: Duration = Duration::from_secs(5);

/// What the Lease said when it was last read, and when that was: only our own clock is compared with itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    holder: Option<String>,
    renewed: Option<Timestamp>,
    duration: Duration,
    /// When this very content was first seen.
    since: Instant,
}

/// What to do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is ours: renew it.
    Renew,
    /// It is free, released, or its holder is silent: take it.
    Take,
    /// Somebody else holds it.
    Wait,
}

/// Who asks for the Lease: a process, and the pod in which it is the only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name and uid of the pod, where the platform tells them.
    pub pod: Option<Pod>,
    /// Differs between two processes of the same pod.
    pub process: String,
}

/// A pod, and which one of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// For people.
    pub name: String,
    /// Differs between two pods of one name.
    pub uid: String,
}

impl Identity {
    fn holder(&self) -> String {
        self.pod.as_ref().map_or_else(|| format!("_{}", self.process), |pod| pod.prefix() + &self.process)
    }

    /// Whether an earlier process of this very pod is the holder. It has ended: a pod runs one at a time.
    fn is_successor_of(&self, holder: &str) -> bool {
        self.pod.as_ref().is_some_and(|pod| holder.starts_with(&pod.prefix()))
    }
}

impl Pod {
    fn prefix(&self) -> String {
        format!("{}_{}_", self.name, self.uid)
    }
}

/// Decides by what was seen. `seen` is `None` when there is no Lease.
#[must_use]
pub fn decide(me: &Identity, seen: Option<&Seen>, now: Instant) -> Decision {
    let Some(seen) = seen else { return Decision::Take };
    match &seen.holder {
        Some(holder) if *holder == me.holder() => Decision::Renew,
        Some(holder) if me.is_successor_of(holder) => Decision::Take,
        Some(holder) if !holder.is_empty() && now.saturating_duration_since(seen.since) <= seen.duration => {
            Decision::Wait
        }
        _ => Decision::Take,
    }
}

impl Seen {
    /// Keeps the moment of the first sight while the content stays the same.
    #[must_use]
    pub fn update(before: Option<&Self>, spec: &LeaseSpec, now: Instant) -> Self {
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let seen = Self {
            holder: spec.holder_identity.clone(),
            renewed: spec.renew_time.as_ref().map(|time| time.0),
            duration: seconds.map_or(DURATION, Duration::from_secs),
            since: now,
        };
        match before {
            Some(before) if before.holder == seen.holder && before.renewed == seen.renewed => {
                Self { since: before.since, ..seen }
            }
            _ => seen,
        }
    }
}

/// The election of one replica.
pub struct Election {
    api: Api<Lease>,
    me: Identity,
    seen: Option<Seen>,
    lease: Option<Lease>,
    /// When the last write that succeeded was begun: the others count from later on.
    renewed: Instant,
}

impl Election {
    /// Of this process.
    #[must_use]
    pub fn new(client: Client, namespace: &str, me: Identity) -> Self {
        Self { api: Api::namespaced(client, namespace), me, seen: None, lease: None, renewed: Instant::now() }
    }

    /// Returns once this replica leads, or `false` when stopped before.
    pub async fn win(&mut self, stop: &CancellationToken) -> bool {
        loop {
            if self.attempt().await {
                info!(lease = NAME, holder = self.me.holder(), "this replica leads");
                return true;
            }
            if stop.run_until_cancelled(tokio::time::sleep(PERIOD / 4)).await.is_none() {
                return false;
            }
        }
    }

    /// Renews until stopped (`true`) or until the Lease is lost (`false`).
    pub async fn hold(&mut self, stop: &CancellationToken) -> bool {
        let mut pause = PERIOD;
        loop {
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return true;
            }
            // An answer that comes after that is no use, and to wait for it would be to lead for too long.
            let left = GIVE_UP.saturating_sub(self.renewed.elapsed());
            let ours = tokio::time::timeout(left, self.attempt()).await.unwrap_or(false);
            if !ours && (self.is_taken() || self.renewed.elapsed() >= GIVE_UP) {
                return false;
            }
            pause = if ours { PERIOD } else { PERIOD / 4 };
        }
    }

    /// Gives the Lease back, so that the next leader need not wait for it to run out.
    pub async fn release(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        if let Err(failure) = timed(self.api.replace(NAME, &PostParams::default(), &lease)).await {
            warn!(error = %failure, "failed to release the Lease; the next leader waits until it runs out");
        }
    }

    fn is_taken(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.holder.as_ref().is_some_and(|holder| *holder != self.me.holder()))
    }

    /// One look and, where it is ours to take, one write. Answers whether the Lease is ours now.
    async fn attempt(&mut self) -> bool {
        match self.step().await {
            Ok(ours) => ours,
            Err(failure) => {
                // What we know is stale now: read again before the next write.
                self.lease = None;
                warn!(error = %failure, "failed to take or renew the Lease");
                false
            }
        }
    }

    async fn step(&mut self) -> Result<bool, kube::Error> {
        // The holder knows what it wrote: renewing is one call, not two.
        if self.lease.is_none() {
            let found = timed(self.api.get_opt(NAME)).await?;
            self.seen = found
                .as_ref()
                .map(|lease| Seen::update(self.seen.as_ref(), &lease.spec.clone().unwrap_or_default(), Instant::now()));
            self.lease = found;
        }
        let decision = decide(&self.me, self.seen.as_ref(), Instant::now());
        if decision == Decision::Wait {
            self.lease = None;
            return Ok(false);
        }
        let wanted = claim(&self.me.holder(), self.lease.take(), decision, Timestamp::now());
        let params = PostParams::default();
        let begun = Instant::now();
        let written = if wanted.metadata.resource_version.is_some() {
            // With the resourceVersion: of two that try at once, one fails.
            timed(self.api.replace(NAME, &params, &wanted)).await?
        } else {
            timed(self.api.create(&params, &wanted)).await?
        };
        self.seen = Some(Seen::update(None, &written.spec.clone().unwrap_or_default(), Instant::now()));
        self.lease = Some(written);
        self.renewed = begun;
        Ok(true)
    }
}

/// The Lease as it is to be written. Pure.
fn claim(me: &str, found: Option<Lease>, decision: Decision, now: Timestamp) -> Lease {
    let mut lease = found.unwrap_or_else(|| Lease {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        ..Lease::default()
    });
    let old = lease.spec.take().unwrap_or_default();
    let taken = decision == Decision::Take;
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: if taken { Some(MicroTime(now)) } else { old.acquire_time.clone() },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(old.lease_transitions.unwrap_or_default() + i32::from(taken)),
        ..old
    });
    lease
}

async fn timed<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
    }
}
