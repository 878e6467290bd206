//! `/v1/completions`: a prompt as text or tokens, continued.

use std::sync::Arc;

use alcazar_core::TokenId;
use axum::{
    extract::{Request, State},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    ApiError, body,
    fields::{Fields, empty, never, wrong_type},
    generate::{Header, Knobs, Prompt, check_model, enter, start},
    sse::{self, Shape},
};
use crate::{
    app::App,
    language::{Language, LanguageError},
};

/// What this route of the OpenAI API does without `max_tokens`.
const DEFAULT_MAX_TOKENS: usize = 16;

pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let served = app.ready()?;
    let (head, body) = request.into_parts();
    let (object, body_bytes) = body::read(&app.bodies, &head.headers, body).await?;
    let mut fields = Fields::new(object);
    check_model(&mut fields, &app)?;
    fields.refuse(&[
        ("logprobs", never),
        ("echo", empty),
        ("suffix", empty),
        ("best_of", |value| *value == 1 || empty(value)),
    ])?;
    let mut knobs = Knobs::take(&mut fields)?;
    knobs.max_tokens.get_or_insert(DEFAULT_MAX_TOKENS);
    let prompt = parse_prompt(&mut fields)?;
    let permit = enter(served, body_bytes)?;
    let answer = start(served, permit, prompt, &knobs, body_bytes).await?;
    let shape = TextShape(Header::new("cmpl", &app));
    if knobs.is_stream { Ok(sse::streamed(shape, answer, knobs.with_usage)) } else { sse::at_once(shape, answer).await }
}

#[derive(Debug, PartialEq, Eq)]
enum PlainPrompt {
    Text(String),
    Tokens(Vec<TokenId>),
}

impl Prompt for PlainPrompt {
    const FIELD: &'static str = "prompt";

    fn tokens(&self, language: &dyn Language) -> Result<Vec<TokenId>, LanguageError> {
        match self {
            Self::Text(text) => language.prompt(text),
            Self::Tokens(tokens) => Ok(tokens.clone()),
        }
    }
}

fn parse_prompt(fields: &mut Fields) -> Result<PlainPrompt, ApiError> {
    let single = "must be a single prompt: this server gives one answer per request";
    match fields.take("prompt") {
        None => Err(ApiError::field("prompt", "missing_required_parameter", "is missing")),
        Some(Value::String(text)) => Ok(PlainPrompt::Text(text)),
        Some(Value::Array(mut items)) => match items.as_mut_slice() {
            [Value::String(text)] => Ok(PlainPrompt::Text(std::mem::take(text))),
            [Value::Array(tokens)] => parse_tokens("prompt[0]", tokens),
            [Value::String(_) | Value::Array(_), ..] => Err(ApiError::field("prompt", "unsupported_value", single)),
            tokens => parse_tokens("prompt", tokens),
        },
        Some(other) => Err(wrong_type("prompt", "a string or a list of tokens", &other)),
    }
}

fn parse_tokens(place: &str, items: &[Value]) -> Result<PlainPrompt, ApiError> {
    let parse = |(n, item): (usize, &Value)| match item.as_u64().and_then(|token| u32::try_from(token).ok()) {
        Some(token) => Ok(TokenId(token)),
        None => {
            Err(ApiError::field(format!("{place}[{n}]"), "invalid_type", "must be a token, an integer of at least 0"))
        }
    };
    items.iter().enumerate().map(parse).collect::<Result<_, _>>().map(PlainPrompt::Tokens)
}

struct TextShape(Header);

impl TextShape {
    fn object(&self, choices: &Value) -> Value {
        let Header { id, created, model } = &self.0;
        json!({"id": id, "object": "text_completion", "created": created, "model": model, "choices": choices})
    }
}

impl Shape for TextShape {
    fn opening(&self) -> Option<Value> {
        None
    }

    fn text(&self, text: &str) -> Value {
        self.object(&json!([{"index": 0, "text": text, "logprobs": null, "finish_reason": null}]))
    }

    fn end(&self, finish_reason: &str) -> Value {
        self.object(&json!([{"index": 0, "text": "", "logprobs": null, "finish_reason": finish_reason}]))
    }

    fn usage(&self, usage: Value) -> Value {
        let mut chunk = self.object(&json!([]));
        chunk["usage"] = usage;
        chunk
    }

    fn whole(&self, text: &str, finish_reason: &str, usage: Value) -> Value {
        let mut whole =
            self.object(&json!([{"index": 0, "text": text, "logprobs": null, "finish_reason": finish_reason}]));
        whole["usage"] = usage;
        whole
    }
}
