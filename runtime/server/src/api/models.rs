//! `/v1/models`: the one model that is served, and its adapters.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::ApiError;
use crate::{adapters::ServedAdapter, app::App};

/// Answered while the model loads, too: clients look for the name first.
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let adapters = app.adapters().iter().map(|adapter| of_adapter(&app, adapter));
    let data: Vec<_> = std::iter::once(model(&app)).chain(adapters).collect();
    Json(json!({"object": "list", "data": data}))
}

pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    if id == app.model_name {
        return Ok(Json(model(&app)));
    }
    let adapter = app.adapters().iter().find(|adapter| adapter.name == id);
    let adapter = adapter.ok_or_else(|| ApiError::unknown_model(&app.names()))?;
    Ok(Json(of_adapter(&app, adapter)))
}

fn model(app: &App) -> Value {
    card(app, &app.model_name, &app.model_name, None)
}

fn of_adapter(app: &App, adapter: &ServedAdapter) -> Value {
    card(app, &adapter.name, &adapter.root, Some(&app.model_name))
}

/// `parent`: the model whose adapter it is.
fn card(app: &App, id: &str, root: &str, parent: Option<&str>) -> Value {
    json!({
        "id": id,
        "object": "model",
        "created": app.created,
        "owned_by": "alcazar",
        "root": root,
        "parent": parent,
        "max_model_len": app.context_length(),
    })
}
