//! `/v1/models`: the one model that is served.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::ApiError;
use crate::app::App;

/// Answered while the model loads, too: clients look for the name first.
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [model(&app)]}))
}

pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    if id == app.model_name { Ok(Json(model(&app))) } else { Err(ApiError::unknown_model(&app.model_name)) }
}

fn model(app: &App) -> Value {
    json!({
        "id": app.model_name,
        "object": "model",
        "created": app.created,
        "owned_by": "alcazar",
        "max_model_len": app.context_length(),
    })
}
