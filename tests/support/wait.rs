//! Waiting for a state, with what was seen last in the failure.

use std::time::{Duration, Instant};

/// For what the API server alone decides.
pub const SHORT: Duration = Duration::from_secs(10);
/// For what pods, volumes and downloads take part in.
pub const LONG: Duration = Duration::from_secs(90);

/// Tries until `probe` gives a value, each 50 ms.
///
/// # Panics
/// After `limit`, with the last refusal of `probe`.
pub async fn wait_for<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(last) if started.elapsed() > limit => panic!("waited {limit:?} for {what}; last seen: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Holds `probe` against the state for all of `span`.
///
/// # Panics
/// As soon as `probe` refuses.
pub async fn stays(what: &str, span: Duration, mut probe: impl AsyncFnMut() -> Result<(), String>) {
    let started = Instant::now();
    while started.elapsed() < span {
        if let Err(seen) = probe().await {
            panic!("{what} should have held for {span:?}; after {:?}: {seen}", started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
