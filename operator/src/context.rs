//! What a reconcile pass may use: client, settings, caches, recorder, metrics and the clock.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;

use crate::{
    apply::Cilium,
    authority::AuthorityStore,
    secrets::Secrets,
    settings::Settings,
    store::Stores,
    telemetry::{events::Recorder, metrics::Metrics},
};

/// The one field manager of everything the operator writes.
pub const FIELD_MANAGER: &str = "alcazar-operator";

/// Shared by both controllers. Only `observe`, `apply` and the status patch may touch `client`.
pub struct Context {
    /// Kubernetes; every call through it is counted and bounded.
    pub client: Client,
    /// The operator's settings file, validated.
    pub settings: Arc<Settings>,
    /// What the watches saw, with our own writes already in it.
    pub stores: Stores,
    /// Metadata of Secrets, read by name and remembered for a while.
    pub secrets: Secrets,
    /// The one certificate authority, for model ports and for the gateway.
    pub(crate) authority: AuthorityStore,
    /// What is remembered of an optional kind.
    pub cilium: Cilium,
    /// Events, one for each transition.
    pub recorder: Recorder,
    /// Prometheus metrics.
    pub metrics: Metrics,
    /// Passed into the pure steps, so that they need no clock.
    pub clock: Clock,
    /// Namespace of the operator itself.
    pub namespace: String,
}

/// The clock; tests stop it.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's.
    System,
    /// Always the same moment.
    Fixed(Timestamp),
}

impl Clock {
    /// The moment of this pass.
    #[must_use]
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(now) => now,
        }
    }
}
