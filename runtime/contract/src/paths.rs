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
/// What signatures are verified with, only in the Jobs: [`SIGNATURE_KEY`], or [`SIGNATURE_ROOTS`] and [`SIGNATURE_IDENTITY`].
pub const SIGNATURE: &str = "/signature";
/// Entry of the Secret with the signer's public key.
pub const SIGNATURE_KEY: &str = "public.pem";
/// Entry of the ConfigMap with the roots of the signer's certificate.
pub const SIGNATURE_ROOTS: &str = "ca.pem";
/// Optional entry of that ConfigMap: whose the certificate must be.
pub const SIGNATURE_IDENTITY: &str = "identity";
/// The key of encrypted weights, in the Jobs and the model pods: [`ENCRYPTION_KEY`] and [`ENCRYPTION_PREVIOUS`].
pub const ENCRYPTION: &str = "/encryption";
/// Entry of the Secret with the age identity of today.
pub const ENCRYPTION_KEY: &str = "key";
/// Optional entry of that Secret: older identities, one a line.
pub const ENCRYPTION_PREVIOUS: &str = "previous";
/// Where Kubernetes reads a container's last word, at most [`TERMINATION_LOG_BYTES`].
pub const TERMINATION_LOG: &str = "/dev/termination-log";
/// The kubelet cuts a termination message here (Kubernetes: `MaxContainerTerminationMessageLength`).
pub const TERMINATION_LOG_BYTES: usize = 4096;

/// Directory name of a sealed model below [`WEIGHTS`] for a digest `sha256:<hex>`.
#[must_use]
pub fn sealed_dir(digest: &str) -> String {
    digest.replacen(':', "-", 1)
}
