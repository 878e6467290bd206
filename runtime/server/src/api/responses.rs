//! `/v1/responses`, without a memory: each request brings its whole conversation.

use std::sync::Arc;

use alcazar_engine::MAX_LOGPROBS;
use axum::{
    extract::{Request, State},
    response::Response,
};
use serde_json::{Map, Value, json};

use super::{
    ApiError, body,
    chat::with_tools,
    chat_shape::Parser,
    fields::{Fields, Unserved, empty, never},
    generate::{Header, Job, check_model, start},
    knobs::Knobs,
    sse, structured,
    tools::Tools,
};
use crate::{
    app::{App, Named},
    language::{Conversation, Input},
};

mod items;
mod shape;

use shape::ResponseShape;

/// What would need a memory, or tools that run here.
const UNSERVED: [Unserved; 7] = [
    ("previous_response_id", never),
    ("conversation", never),
    ("store", |value| value == false),
    ("background", empty),
    ("prompt", never),
    ("truncation", |value| value == "disabled"),
    ("max_tool_calls", never),
];

pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let served = app.ready()?;
    let (head, body) = request.into_parts();
    let (object, body_bytes) = body::read(&app.bodies, &head.headers, body).await?;
    let told = told(&object);
    let mut fields = Fields::new(object);
    let Named { name, adapter } = check_model(&mut fields, &app)?;
    let job = Job { adapter, ..parse(&mut fields, body_bytes)? };
    let is_stream = job.knobs.is_stream;
    let language = job.knobs.logprobs.map(|_| Arc::clone(&served.language));
    let started = start(served, job).await?;
    let parser = Parser::new(served.language.format(), &started.expected);
    let shape = ResponseShape::new(Header::new("resp", name), told, parser, language);
    sse::respond(shape, started.answers, is_stream).await
}

/// Pure: what the request asks for.
pub(super) fn parse(fields: &mut Fields, body_bytes: usize) -> Result<Job, ApiError> {
    fields.refuse(&UNSERVED)?;
    let mut knobs = knobs(fields)?;
    knobs.logprobs = logprobs(fields)?;
    let mut extra = Map::new();
    if let Some(mut reasoning) = fields.object("reasoning")? {
        let effort = reasoning.string("effort").map_err(|error| error.within("reasoning"))?;
        extra.extend(effort.map(|effort| ("reasoning_effort".to_owned(), effort.into())));
    }
    let tools = Tools::take(fields)?;
    let grammar = text_format(fields)?;
    let messages = items::messages(fields)?;
    let conversation = Conversation { messages, tools: tools.for_template(), add_generation_prompt: true, extra };
    let job = Job { field: "input", knobs, body_bytes, is_parsed: true, ..Job::new(vec![Input::Chat(conversation)]) };
    with_tools(job, &tools, grammar)
}

/// How many of the likeliest tokens are told beside each; `None`: no probabilities are.
fn logprobs(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    let most = i64::try_from(MAX_LOGPROBS).unwrap_or(i64::MAX);
    let top = fields.integer("top_logprobs", 0..=most)?.and_then(|n| usize::try_from(n).ok());
    let included = fields.strings("include")?;
    let is_asked = top.is_some_and(|n| n > 0) || included.iter().any(|name| name == "message.output_text.logprobs");
    Ok(is_asked.then_some(top.unwrap_or(0)))
}

fn knobs(fields: &mut Fields) -> Result<Knobs, ApiError> {
    let max_tokens = fields.integer("max_output_tokens", 1..=i64::from(u32::MAX))?;
    let mut knobs = Knobs::take(fields, 1)?;
    if knobs.n != 1 {
        return Err(ApiError::field("n", "invalid_value", "must be 1 on this route"));
    }
    if let Some(max_tokens) = max_tokens {
        knobs.max_tokens = usize::try_from(max_tokens).ok();
        knobs.max_tokens_field = "max_output_tokens";
    }
    Ok(knobs)
}

/// `text.format`, which is `response_format` with the schema one level higher.
fn text_format(fields: &mut Fields) -> Result<Option<structured::Asked>, ApiError> {
    let Some(mut text) = fields.object("text")? else { return Ok(None) };
    let Some(mut format) = text.object("format").map_err(|error| error.within("text"))? else { return Ok(None) };
    let within = |error: ApiError| error.within("text.format");
    let grammar = match format.string("type").map_err(within)?.as_deref() {
        Some("text") => return Ok(None),
        Some("json_object") => alcazar_text::Grammar::JsonObject,
        Some("json_schema") => structured::json_schema(format).map_err(within)?,
        Some(_) => {
            let message = "must be text, json_object or json_schema";
            return Err(within(ApiError::field("type", "invalid_value", message)));
        }
        None => return Err(within(ApiError::field("type", "missing_required_parameter", "is missing"))),
    };
    Ok(Some(structured::Asked { grammar, field: "text.format.schema".to_owned() }))
}

/// What an answer repeats of its request.
fn told(object: &Map<String, Value>) -> Value {
    let of = |name: &str, default: Value| object.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default);
    json!({
        "instructions": of("instructions", Value::Null),
        "max_output_tokens": of("max_output_tokens", Value::Null),
        "metadata": of("metadata", json!({})),
        "parallel_tool_calls": of("parallel_tool_calls", json!(true)),
        "previous_response_id": null,
        "reasoning": of("reasoning", json!({"effort": null, "summary": null})),
        "store": false,
        "temperature": of("temperature", json!(1.0)),
        "text": of("text", json!({"format": {"type": "text"}})),
        "tool_choice": of("tool_choice", json!("auto")),
        "tools": of("tools", json!([])),
        "top_p": of("top_p", json!(1.0)),
        "truncation": "disabled",
    })
}
