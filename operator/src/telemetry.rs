//! What the operator tells about itself: logs, metrics, Events.

pub mod api_calls;
pub mod api_errors;
pub mod events;
pub mod logging;
pub mod metrics;
