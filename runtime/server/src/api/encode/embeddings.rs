//! `/v1/embeddings`: one vector for each text.

use std::sync::Arc;

use alcazar_core::Head;
use axum::{
    Json,
    extract::{Request, State},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{ApiError, encode, inputs, none, read};
use crate::app::{App, NotServed};

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    let mut asked = read(&app, request).await?;
    if !matches!(asked.served.config.head, Head::Embedding(_)) {
        return Err(NotServed::OfTask(asked.served.config.head.task()).into());
    }
    let as_base64 = match asked.fields.string("encoding_format")?.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(ApiError::field("encoding_format", "invalid_value", "must be float or base64")),
    };
    let dimensions = asked.fields.integer("dimensions", 1..=1 << 20)?;
    let inputs = inputs(&mut asked.fields, false)?;
    let mut encoded = encode(&asked, "input", inputs, none).await?;
    let usage = encoded.usage();
    let mut data = Vec::new();
    for (index, rows) in std::mem::take(&mut encoded.rows).into_iter().enumerate() {
        let whole = rows.into_iter().next().unwrap_or_default();
        let vector = shorten(whole, dimensions.and_then(|n| usize::try_from(n).ok()))?;
        let embedding = if as_base64 { Value::String(base64(&vector)) } else { json!(vector) };
        data.push(json!({"object": "embedding", "index": index, "embedding": embedding}));
    }
    Ok(Json(json!({"object": "list", "data": data, "model": app.model_name, "usage": usage})))
}

/// The first so many elements, at length 1 again: what models that were trained for it (Matryoshka) expect.
fn shorten(mut vector: Vec<f32>, dimensions: Option<usize>) -> Result<Vec<f32>, ApiError> {
    let Some(dimensions) = dimensions else { return Ok(vector) };
    if dimensions > vector.len() {
        let message = format!("must be at most {}, the width of this model", vector.len());
        return Err(ApiError::field("dimensions", "invalid_value", message));
    }
    vector.truncate(dimensions);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in &mut vector {
            *x /= length;
        }
    }
    Ok(vector)
}

/// Little-endian f32, as OpenAI's client libraries ask for by themselves.
fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}
