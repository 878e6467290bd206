//! JSON logs on standard error, one line each.

use alcazar_telemetry::{Ceiling, panics};
use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::env_vars;

/// What is logged unless `ALCAZAR_LOG` says otherwise. The client's own errors are told by whoever made the call.
const DEFAULT: &str = "info,kube_client=off,kube_runtime=error,hyper_util=warn,tower=warn";

/// Call once, before anything logs.
pub fn init() {
    panics::install();
    let asked = env_vars::read(env_vars::LOG).and_then(|text| Ceiling::parse(&text).ok());
    let filter = asked.or_else(|| Ceiling::parse(DEFAULT).ok()).unwrap_or_default();
    let lines = fmt::layer().json().with_writer(std::io::stderr).with_current_span(true).with_span_list(false);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_filter() {
        assert!(Ceiling::parse(DEFAULT).is_ok());
    }
}
