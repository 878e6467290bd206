//! `/tokenize` and `/detokenize`, as vLLM has them.

use std::sync::Arc;

use alcazar_core::TokenId;
use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};

use super::{
    ApiError, body, chat,
    fields::Fields,
    generate::{check_model_if_named, encode},
    knobs::parse_tokens,
};
use crate::{
    app::{App, Served},
    language::Input,
};

/// A prompt or a conversation as the model would get it.
pub(super) async fn tokenize(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    let (served, mut fields, body_bytes) = read(&app, request).await?;
    let with_strings = fields.bool("return_token_strs")?.unwrap_or(false);
    let (input, field) = input(&mut fields)?;
    // Tokenizing is work, too: it takes a place as any request does.
    let _permit = served.gate.try_enter(body_bytes.div_ceil(4))?;
    let encoded = encode(served, &[input], field, body_bytes).await?;
    let tokens = encoded.into_iter().next().unwrap_or_default().tokens;
    let texts = || tokens.iter().map(|token| served.language.token(*token).text).collect::<Vec<_>>();
    Ok(Json(json!({
        "count": tokens.len(),
        "max_model_len": served.context_length,
        "tokens": tokens,
        "token_strs": with_strings.then(texts),
    })))
}

/// The text of tokens.
pub(super) async fn detokenize(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    let (served, mut fields, body_bytes) = read(&app, request).await?;
    let missing = || ApiError::field("tokens", "missing_required_parameter", "is missing");
    let tokens = parse_tokens("tokens", &fields.array("tokens")?.ok_or_else(missing)?)?;
    let is_known = |token: &TokenId| token.index() < served.vocabulary;
    if let Some(n) = tokens.iter().position(|token| !is_known(token)) {
        let message = format!("is beyond the vocabulary of {}", served.vocabulary);
        return Err(ApiError::field(format!("tokens[{n}]"), "invalid_value", message));
    }
    let _permit = served.gate.try_enter(body_bytes.div_ceil(4))?;
    Ok(Json(json!({"prompt": served.language.text(&tokens)})))
}

async fn read(app: &App, request: Request) -> Result<(&Served, Fields, usize), ApiError> {
    let served = app.ready()?;
    let (head, body) = request.into_parts();
    let (object, body_bytes) = body::read(&app.bodies, &head.headers, body).await?;
    let mut fields = Fields::new(object);
    check_model_if_named(&mut fields, app)?;
    Ok((served, fields, body_bytes))
}

pub(super) fn input(fields: &mut Fields) -> Result<(Input, &'static str), ApiError> {
    let with_special = fields.bool("add_special_tokens")?;
    match fields.string("prompt")? {
        Some(text) => Ok((Input::Text { text, with_special: with_special.unwrap_or(true) }, "prompt")),
        None => Ok((Input::Chat(chat::conversation(fields)?), "messages")),
    }
}
