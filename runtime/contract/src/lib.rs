//! What the operator and the data plane agree on: ports, paths, labels and wire shapes.
//!
//! Both sides depend on this crate and on nothing of each other, so a name that one renders
//! and the other parses exists once. It holds constants and plain serde types only.
#![forbid(unsafe_code)]

pub mod gateway;
pub mod isolation;
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
/// HTTPS port of a gateway pod: the public API, behind a Service on [`SERVICE_PORT`].
pub const GATEWAY_PORT: u16 = 8443;
/// Port between gateway pods, mutual TLS: they agree on quotas there.
pub const GATEWAY_PEER_PORT: u16 = 8444;
/// UDP port of WireGuard on a gateway pod.
pub const VPN_PORT: u16 = 51820;
/// Port of the operator that answers anybody with one line and closes: what no isolated pod may reach.
pub const CANARY_PORT: u16 = 8083;
/// Name of [`MODEL_PORT`] in pods, Services and policies.
pub const MODEL_PORT_NAME: &str = "https";
/// Name of [`PROBE_PORT`] in pods and policies.
pub const PROBE_PORT_NAME: &str = "probe";

/// Name of [`GATEWAY_PORT`] in pods, Services and policies.
pub const GATEWAY_PORT_NAME: &str = "https";
/// Name of [`GATEWAY_PEER_PORT`] in pods, Services and policies.
pub const GATEWAY_PEER_PORT_NAME: &str = "peers";
/// Name of [`VPN_PORT`] in pods, Services and policies.
pub const VPN_PORT_NAME: &str = "wireguard";
/// Name of [`CANARY_PORT`] in pods and policies.
pub const CANARY_PORT_NAME: &str = "canary";

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
