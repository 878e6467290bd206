//! `spec.rollout`: how a change reaches the pods.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How old pods are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// `Surge` starts the new pod before it stops the old one: no gap, but room for one pod more is needed.
    /// `Drain` stops the old one first: no spare GPU is needed. `Auto` is `Drain` for pods with GPUs and `Surge`
    /// for the others.
    #[serde(default)]
    pub strategy: RolloutStrategy,
    /// Seconds that the pods may take to get ready before the rollout counts as failed, 60 to 86400.
    #[serde(default = "default_progress_deadline_seconds")]
    #[schemars(schema_with = "schema::progress_deadline_seconds")]
    pub progress_deadline_seconds: i32,
    /// Seconds that running answers get to finish when a pod stops, 0 to 3600. A pod with nothing to finish stops at
    /// once.
    #[serde(default = "default_drain_seconds")]
    #[schemars(schema_with = "schema::drain_seconds")]
    pub drain_seconds: i32,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            strategy: RolloutStrategy::default(),
            progress_deadline_seconds: default_progress_deadline_seconds(),
            drain_seconds: default_drain_seconds(),
        }
    }
}

/// Half an hour: the largest models load for minutes from slow volumes.
const fn default_progress_deadline_seconds() -> i32 {
    1800
}

/// Two minutes: longer than nearly all answers, shorter than what cloud nodes grant before they go.
const fn default_drain_seconds() -> i32 {
    120
}

/// Which pod goes first in a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RolloutStrategy {
    /// `Drain` with GPUs, else `Surge`.
    #[default]
    Auto,
    /// New before old.
    Surge,
    /// Old before new.
    Drain,
}
