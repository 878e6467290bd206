//! The variables that the platform sets on the operator's pod: the only environment it reads.

/// Namespace the operator runs in (downward API); its Lease and its CA live there.
pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
/// Name of the operator's pod (downward API); it names the holder of the Lease and the reporter of Events.
pub const POD_NAME: &str = "POD_NAME";
/// Uid of the operator's pod (downward API); a container that starts anew in it takes the Lease over at once.
pub const POD_UID: &str = "POD_UID";
/// Log filter in the syntax of `tracing`, for example `info,alcazar_operator=debug`.
pub const LOG: &str = "ALCAZAR_LOG";
/// Address of the API server as pods see it (set by the kubelet); what model pods must not reach.
pub const API_SERVER_HOST: &str = "KUBERNETES_SERVICE_HOST";
/// Its port.
pub const API_SERVER_PORT: &str = "KUBERNETES_SERVICE_PORT";

/// Reads one of the variables above; an empty value counts as unset.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
#[must_use]
pub fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
