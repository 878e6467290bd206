//! What the operator and the data plane agree on: ports, paths, labels and wire shapes.
//!
//! Both sides depend on this crate and on nothing of each other, so a name that one renders
//! and the other parses exists once. It holds constants and plain serde types only.
#![forbid(unsafe_code)]

pub mod labels;
pub mod paths;
pub mod report;
pub mod source;
pub mod status;

/// HTTPS port of a model pod: the OpenAI-compatible routes.
pub const MODEL_PORT: u16 = 8443;
/// Plain HTTP port of every pod of ours: probes, metrics and [`status`].
pub const PROBE_PORT: u16 = 8081;
/// Port of the Service in front of the model pods.
pub const SERVICE_PORT: u16 = 443;
/// Name of [`MODEL_PORT`] in pods, Services and policies.
pub const MODEL_PORT_NAME: &str = "https";
/// Name of [`PROBE_PORT`] in pods and policies.
pub const PROBE_PORT_NAME: &str = "probe";

/// Routes on [`PROBE_PORT`].
pub mod routes {
    /// 200 while the process is alive, whatever its load.
    pub const LIVE: &str = "/health/live";
    /// 200 once a request can be served; 503 with the reason before.
    pub const READY: &str = "/health/ready";
    /// Prometheus text format.
    pub const METRICS: &str = "/metrics";
    /// JSON of [`crate::status::ServeStatus`] or [`crate::status::FetchStatus`].
    pub const STATUS: &str = "/status";
}
