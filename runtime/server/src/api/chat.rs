//! `/v1/chat/completions`.

use std::sync::Arc;

use alcazar_core::TokenId;
use axum::{
    extract::{Request, State},
    response::Response,
};
use serde_json::{Map, Value, json};

use super::{
    ApiError, body,
    fields::{Fields, kind_of, wrong_type},
    generate::{Header, Knobs, Prompt, check_model, enter, start},
    sse::{self, Shape},
};
use crate::{
    app::App,
    language::{Conversation, Language, LanguageError},
};

pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let served = app.ready()?;
    let (head, body) = request.into_parts();
    let (object, body_bytes) = body::read(&app.bodies, &head.headers, body).await?;
    let mut fields = Fields::new(object);
    check_model(&mut fields, &app)?;
    fields.refuse(&[("logprobs", |value| value == false)])?;
    let knobs = Knobs::take(&mut fields)?;
    let conversation = conversation(&mut fields)?;
    let permit = enter(served, body_bytes)?;
    let answer = start(served, permit, conversation, &knobs, body_bytes).await?;
    let shape = ChatShape(Header::new("chatcmpl", &app));
    if knobs.is_stream { Ok(sse::streamed(shape, answer, knobs.with_usage)) } else { sse::at_once(shape, answer).await }
}

impl Prompt for Conversation {
    const FIELD: &'static str = "messages";

    fn tokens(&self, language: &dyn Language) -> Result<Vec<TokenId>, LanguageError> {
        language.chat(self)
    }
}

fn conversation(fields: &mut Fields) -> Result<Conversation, ApiError> {
    let messages = match fields.take("messages") {
        None => {
            return Err(ApiError::field(
                "messages",
                "missing_required_parameter",
                "is missing; send at least one message",
            ));
        }
        Some(Value::Array(messages)) if messages.is_empty() => {
            return Err(ApiError::field("messages", "invalid_value", "must hold at least one message"));
        }
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(wrong_type("messages", "a list of messages", &other)),
    };
    let messages = messages.into_iter().enumerate().map(|(n, message)| parse_message(n, message));
    Ok(Conversation {
        messages: messages.collect::<Result<Vec<_>, _>>()?.into(),
        add_generation_prompt: fields.bool("add_generation_prompt")?.unwrap_or(true),
        extra: fields.object("chat_template_kwargs")?.map(Fields::into_map).unwrap_or_default(),
    })
}

/// A message as templates expect it: a role and a string.
fn parse_message(n: usize, message: Value) -> Result<Value, ApiError> {
    let place = |field: &str| format!("messages[{n}].{field}");
    let Value::Object(mut message) = message else {
        return Err(wrong_type(&format!("messages[{n}]"), "an object", &message));
    };
    let role = match message.remove("role") {
        Some(Value::String(role)) => role,
        None | Some(Value::Null) => {
            return Err(ApiError::field(place("role"), "missing_required_parameter", "is missing"));
        }
        Some(other) => return Err(wrong_type(&place("role"), "a string", &other)),
    };
    let role = match role.as_str() {
        "system" | "user" | "assistant" => role,
        // The newer name of the same thing; templates know the older one.
        "developer" => "system".to_owned(),
        _ => {
            return Err(ApiError::field(
                place("role"),
                "invalid_value",
                "must be system, developer, user or assistant",
            ));
        }
    };
    if message.get("tool_calls").is_some_and(|calls| calls.as_array().is_none_or(|calls| !calls.is_empty())) {
        return Err(ApiError::field(place("tool_calls"), "unsupported_parameter", "is not supported by this server"));
    }
    let content = match message.remove("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => join_parts(&place("content"), &parts)?,
        None | Some(Value::Null) if role == "assistant" => String::new(),
        None | Some(Value::Null) => {
            return Err(ApiError::field(place("content"), "missing_required_parameter", "is missing"));
        }
        Some(other) => return Err(wrong_type(&place("content"), "a string or a list of parts", &other)),
    };
    let mut parsed = Map::from_iter([("role".to_owned(), role.into()), ("content".to_owned(), content.into())]);
    if let Some(name @ Value::String(_)) = message.remove("name") {
        parsed.insert("name".to_owned(), name);
    }
    Ok(parsed.into())
}

fn join_parts(place: &str, parts: &[Value]) -> Result<String, ApiError> {
    let texts = parts.iter().enumerate().map(|(n, part)| match (part["type"].as_str(), &part["text"]) {
        (Some("text"), Value::String(text)) => Ok(text.as_str()),
        (Some("text"), other) => Err(ApiError::field(
            format!("{place}[{n}].text"),
            "invalid_type",
            format!("must be a string, found {}", kind_of(other)),
        )),
        _ => Err(ApiError::field(
            format!("{place}[{n}].type"),
            "unsupported_value",
            "must be 'text': this model reads text only",
        )),
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

struct ChatShape(Header);

impl ChatShape {
    fn chunk(&self, choices: &Value) -> Value {
        let Header { id, created, model } = &self.0;
        json!({"id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": choices})
    }
}

impl Shape for ChatShape {
    fn opening(&self) -> Option<Value> {
        let delta = json!({"role": "assistant", "content": ""});
        Some(self.chunk(&json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}])))
    }

    fn text(&self, text: &str) -> Value {
        self.chunk(&json!([{"index": 0, "delta": {"content": text}, "logprobs": null, "finish_reason": null}]))
    }

    fn end(&self, finish_reason: &str) -> Value {
        self.chunk(&json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": finish_reason}]))
    }

    fn usage(&self, usage: Value) -> Value {
        let mut chunk = self.chunk(&json!([]));
        chunk["usage"] = usage;
        chunk
    }

    fn whole(&self, text: &str, finish_reason: &str, usage: Value) -> Value {
        let Header { id, created, model } = &self.0;
        let message = json!({"role": "assistant", "content": text, "refusal": null});
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason});
        json!({
            "id": id, "object": "chat.completion", "created": created, "model": model, "choices": [choice], "usage": usage,
        })
    }
}
