//! `/health` on the model port, for clients and proxies; the kubelet has a port of its own.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::ApiError;
use crate::app::App;

/// 200 when a request would be answered now, else 503 with the reason and when to come back.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    match app.unready() {
        Some(unready) => Err(unready.into()),
        None => Ok(Json(json!({"status": "ok"}))),
    }
}

pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}
