//! The operator's own HTTP port: `/metrics`, `/livez`, `/readyz`. No client.

use std::{io, net::SocketAddr};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{store::Stores, telemetry::metrics::Metrics};

/// Where the kubelet and Prometheus find it.
pub const PORT: u16 = 8080;

/// What the routes show.
#[derive(Clone)]
pub struct Admin {
    /// For `/readyz`.
    pub stores: Stores,
    /// For `/metrics`.
    pub metrics: Metrics,
}

/// Listens before anything else starts, so that a taken port is an error at once.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> io::Result<()> {
    axum::serve(listener, router(admin)).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// Ready once all caches are complete: a replica that does not lead is ready to take over. Names what it waits for.
async fn readyz(State(admin): State<Admin>) -> (StatusCode, String) {
    let waiting = admin.stores.unsynced();
    if waiting.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        let waits = format!("waiting for the first list of: {}\n", waiting.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, waits)
    }
}

async fn metrics(State(admin): State<Admin>) -> (StatusCode, String) {
    match admin.metrics.render() {
        Ok(text) => (StatusCode::OK, text),
        Err(failure) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to render the metrics: {failure}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readyz_names_what_it_waits_for() {
        let stores = Stores::default();
        let admin = Admin { stores: stores.clone(), metrics: Metrics::new().unwrap() };
        let (code, text) = readyz(State(admin.clone())).await;
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("llmmodels") && text.contains("pods"), "{text}");
        stores.sync_for_tests();
        assert_eq!(readyz(State(admin)).await, (StatusCode::OK, "ok\n".to_owned()));
    }
}
