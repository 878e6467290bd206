//! Where things are mounted in the pods.

/// The model volume: read-write in the fetch Job, read-only everywhere else.
pub const WEIGHTS: &str = "/weights";
/// TLS files of the model port: `tls.crt`, `tls.key`, `ca.crt`.
pub const TLS: &str = "/tls";
/// The gateway's certificate for model pods and for its peers: `tls.crt`, `tls.key`, `ca.crt`.
pub const GATEWAY_CLIENT: &str = "/client";
/// The gateway's WireGuard key, see [`crate::gateway::vpn`].
pub const VPN: &str = "/vpn";
/// Credentials of the source, only in the fetch Job: one file per key of the Secret.
pub const CREDENTIALS: &str = "/credentials";
/// Where Kubernetes reads a container's last word, at most [`TERMINATION_LOG_BYTES`].
pub const TERMINATION_LOG: &str = "/dev/termination-log";
/// The kubelet cuts a termination message here (Kubernetes: `MaxContainerTerminationMessageLength`).
pub const TERMINATION_LOG_BYTES: usize = 4096;

/// Directory name of a sealed model below [`WEIGHTS`] for a digest `sha256:<hex>`.
#[must_use]
pub fn sealed_dir(digest: &str) -> String {
    digest.replacen(':', "-", 1)
}
