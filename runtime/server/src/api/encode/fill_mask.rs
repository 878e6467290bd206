//! `/v1/fill-mask`: the likeliest words for each mask in a text.

use std::{cmp::Ordering, sync::Arc};

use alcazar_core::{Head, TokenId};
use alcazar_text::{EncodedText, Tokenizer};
use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};

use super::{ApiError, encode, inputs, read, scores::softmax};
use crate::{
    api::generate::Header,
    app::{App, NotServed},
};

const DEFAULT_TOP_K: usize = 5;
const MAX_TOP_K: i64 = 1000;

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    let mut asked = read(&app, request).await?;
    if asked.served.config.head != Head::FillMask {
        return Err(NotServed::OfTask(asked.served.config.head.task()).into());
    }
    let top_k = asked.fields.integer("top_k", 1..=MAX_TOP_K)?;
    let top_k = top_k.and_then(|k| usize::try_from(k).ok()).unwrap_or(DEFAULT_TOP_K);
    let Some((mask, mask_text)) = asked.served.tokenizer.mask_token() else {
        return Err(ApiError::wrong_task("the model's tokenizer has no mask token"));
    };
    let inputs = inputs(&mut asked.fields, false)?;
    let encoded = encode(&asked, "input", inputs, masks).await?;
    let mut data = Vec::new();
    for (index, (text, rows)) in encoded.texts.iter().zip(&encoded.rows).enumerate() {
        if !text.tokens.contains(&mask) {
            let message = format!("holds no {mask_text}, the model's word to be guessed");
            return Err(ApiError::field(format!("input[{index}]"), "invalid_value", message));
        }
        let guesses: Vec<Value> = rows.iter().map(|scores| likeliest(scores, top_k, &asked.served.tokenizer)).collect();
        data.push(json!({"index": index, "masks": guesses}));
    }
    let Header { id, created, model } = Header::new("fill", app.model_name.clone());
    let usage = encoded.usage();
    Ok(Json(json!({"id": id, "object": "list", "created": created, "model": model, "data": data, "usage": usage})))
}

/// The masks; without any the first token, since something has to run before the caller is told.
fn masks(text: &EncodedText, tokenizer: &Tokenizer) -> Vec<usize> {
    let mask = tokenizer.mask_token().map(|(id, _)| id);
    let at = text.tokens.iter().enumerate().filter(|(_, token)| Some(**token) == mask).map(|(nth, _)| nth);
    let found: Vec<usize> = at.collect();
    if found.is_empty() { vec![0] } else { found }
}

fn likeliest(scores: &[f32], top_k: usize, tokenizer: &Tokenizer) -> Value {
    let mut order: Vec<(usize, f32)> = softmax(scores).into_iter().enumerate().collect();
    order.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal));
    order.truncate(top_k);
    let told = order.into_iter().map(|(token, score)| {
        let text = u32::try_from(token).ok().and_then(|token| tokenizer.token_text(TokenId(token)));
        json!({"token": token, "text": text.map(|text| text.trim_start().to_owned()), "score": score})
    });
    told.collect()
}
