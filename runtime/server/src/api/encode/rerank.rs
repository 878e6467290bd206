//! `/v1/rerank`: documents by what they have to do with a query.

use std::{cmp::Ordering, sync::Arc};

use alcazar_core::Head;
use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};

use super::{ApiError, Asked, Encoded, Input, MAX_TEXTS, encode, none, read, scores::sigmoid};
use crate::{
    api::{fields::wrong_type, generate::Header},
    app::App,
};

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    let mut asked = read(&app, request).await?;
    let missing = |field: &'static str| ApiError::field(field, "missing_required_parameter", "is missing");
    let query = asked.fields.string("query")?.ok_or_else(|| missing("query"))?;
    let documents = documents(asked.fields.array("documents")?.ok_or_else(|| missing("documents"))?)?;
    let top_n = asked.fields.integer("top_n", 1..=i64::MAX)?.and_then(|n| usize::try_from(n).ok());
    let with_documents = asked.fields.bool("return_documents")?.unwrap_or(false);
    let (scores, usage) = score(&asked, &query, &documents).await?;
    let mut order: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
    order.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal));
    order.truncate(top_n.unwrap_or(usize::MAX));
    let results = order.into_iter().map(|(index, score)| {
        let mut result = json!({"index": index, "relevance_score": score});
        if with_documents {
            result["document"] = json!({"text": documents.get(index)});
        }
        result
    });
    let Header { id, model, .. } = Header::new("rerank", app.model_name.clone());
    Ok(Json(json!({"id": id, "model": model, "results": results.collect::<Vec<_>>(), "usage": usage})))
}

/// Texts, or objects with one, as Cohere's API has them.
fn documents(items: Vec<Value>) -> Result<Vec<String>, ApiError> {
    if items.is_empty() || items.len() > MAX_TEXTS {
        let message = format!("must have 1 to {MAX_TEXTS} documents, found {}", items.len());
        return Err(ApiError::field("documents", "invalid_value", message));
    }
    let one = |(n, item): (usize, Value)| match item {
        Value::String(text) => Ok(text),
        Value::Object(mut object) => match object.remove("text") {
            Some(Value::String(text)) => Ok(text),
            _ => Err(ApiError::field(format!("documents[{n}].text"), "invalid_type", "must be a string")),
        },
        other => Err(wrong_type(&format!("documents[{n}]"), "a string or an object with text", &other)),
    };
    items.into_iter().enumerate().map(one).collect()
}

/// A cross-encoder reads query and document together; of an embedding model the vectors' cosine counts.
async fn score(asked: &Asked<'_>, query: &str, documents: &[String]) -> Result<(Vec<f32>, Value), ApiError> {
    let pair = |document: &String| Input::Text { first: query.to_owned(), second: Some(document.clone()) };
    let alone = |text: &str| Input::Text { first: text.to_owned(), second: None };
    match &asked.served.config.head {
        Head::Classification(head) if head.labels.len() == 1 => {
            let encoded = encode(asked, "documents", documents.iter().map(pair).collect(), none).await?;
            let usage = encoded.usage();
            let scores = encoded.rows.iter().map(|rows| sigmoid(first(rows).first().copied().unwrap_or_default()));
            Ok((scores.collect(), usage))
        }
        Head::Embedding(_) => {
            // The query comes last, so that places in errors are those of the documents.
            let inputs = documents.iter().map(|document| alone(document)).chain([alone(query)]).collect();
            let Encoded { texts, mut rows } = encode(asked, "documents", inputs, none).await?;
            let query = rows.pop().unwrap_or_default();
            let scores = rows.iter().map(|rows| cosine(first(rows), first(&query))).collect();
            let usage = Encoded { texts, rows }.usage();
            Ok((scores, usage))
        }
        head => Err(ApiError::wrong_task(&format!(
            "this model is one for {}, which cannot rank; /v1/rerank wants a cross-encoder with one label or an \
             embedding model",
            head.task()
        ))),
    }
}

fn first(rows: &[Vec<f32>]) -> &[f32] {
    rows.first().map(Vec::as_slice).unwrap_or_default()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}
