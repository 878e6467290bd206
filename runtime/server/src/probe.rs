//! Plain HTTP for the kubelet, Prometheus and the operator: health, metrics, status. No request of a user comes here.

use std::{net::SocketAddr, sync::Arc};

use alcazar_contract::routes;
use alcazar_store::Progress;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::app::App;

/// Routes of a serving process.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(routes::LIVE, get(async || "alive\n"))
        .route(routes::READY, get(ready))
        .route(routes::METRICS, get(metrics))
        .route(routes::STATUS, get(async |State(app): State<Arc<App>>| Json(app.status())))
        .with_state(app)
}

/// Routes of a fetch or verification.
pub(crate) fn progress_router(progress: Progress) -> Router {
    Router::new()
        .route(routes::LIVE, get(async || "alive\n"))
        .route(routes::STATUS, get(async |State(progress): State<Progress>| Json(progress.snapshot())))
        .with_state(progress)
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.unready() {
        None => Json(json!({"status": "ready"})).into_response(),
        Some(unready) => {
            let told = json!({"status": "unready", "reason": unready.reason, "message": unready.message});
            (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
        }
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    match app.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "failed to render the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Binds with the address in the error, which the system leaves out.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("failed to listen on {address}: {error}")))
}
