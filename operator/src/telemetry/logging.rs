//! JSON logs on standard error, one line each.

use tracing_subscriber::EnvFilter;

use crate::env_vars;

/// What is logged unless `ALCAZAR_LOG` says otherwise. The client's own errors are told by whoever made the call.
const DEFAULT: &str = "info,kube_client=off,kube_runtime=error,hyper_util=warn,tower=warn";

/// Call once, before anything logs.
pub fn init() {
    let filter = env_vars::read(env_vars::LOG).unwrap_or_else(|| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    tracing_subscriber::fmt()
        .json()
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .with_current_span(true)
        .with_span_list(false)
        .init();
}
