//! `/v1/models`: what a key sees, and nothing of what it does not.

use bytes::Bytes;
use hyper::{
    Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    error::ApiError,
    key::Key,
    world::{Model, World},
};

pub(crate) fn list(world: &World, key: &Key) -> Response<Answer> {
    let data: Vec<_> = world.visible(key).map(|(name, model, is_adapter)| card(name, model, is_adapter)).collect();
    answer(&json!({"object": "list", "data": data}))
}

pub(crate) fn one(world: &World, key: &Key, path: &str) -> Result<Response<Answer>, ApiError> {
    let name = path.strip_prefix("/v1/models/").unwrap_or_default();
    let found = world.visible(key).find(|(visible, ..)| *visible == name);
    let (name, model, is_adapter) = found.ok_or_else(ApiError::unknown_model)?;
    Ok(answer(&card(name, model, is_adapter)))
}

fn card(name: &str, model: &Model, is_adapter: bool) -> Value {
    json!({
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "alcazar",
        "root": name,
        "parent": is_adapter.then_some(&model.name),
    })
}

fn answer(value: &Value) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(Bytes::from(value.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
