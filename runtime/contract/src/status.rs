//! What a running pod answers on its status route.

use serde::{Deserialize, Serialize};

use crate::isolation::Target;

/// Answer of a fetch or verify pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchStatus {
    /// Bytes on the volume so far, those of an earlier attempt included.
    pub done_bytes: u64,
    /// Bytes in all; 0 until the source has told.
    pub total_bytes: u64,
    /// Over the last seconds.
    pub bytes_per_second: u64,
    /// At that pace; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

/// Answer of a model pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServeStatus {
    /// Whether requests are served now.
    pub ready: bool,
    /// Why not, as a CamelCase reason; empty when ready.
    pub reason: String,
    /// One sentence for people; empty when ready.
    pub message: String,
    /// Manifest digest of the weights in memory; empty when not asked for.
    pub digest: String,
    /// `CPU`, or the name of the GPU.
    pub device: String,
    /// Layers that run on that device.
    pub layers_offloaded: u32,
    /// Layers of the model.
    pub layers_total: u32,
    /// From process start to ready, in milliseconds; 0 until then.
    pub load_milliseconds: u64,
    /// Measured after the load; 0 until then.
    pub prefill_tokens_per_second: u32,
    /// Measured after the load; 0 until then.
    pub decode_tokens_per_second: u32,
    /// Result of the isolation probe; absent when none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
}

/// What the pod found when it tried to reach what it must not reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Isolation {
    /// Rounds in a row, up to the last one, in which nothing was reached.
    pub blocked_rounds: u32,
    /// Targets that the last round reached.
    pub reached: Vec<Target>,
    /// Targets that the last round tried.
    #[serde(default)]
    pub tried: Vec<Target>,
    /// Seconds since the last round ended.
    pub seconds_since_last_round: u64,
}
