//! `/v1/chat/completions`.

use std::sync::Arc;

use alcazar_engine::MAX_LOGPROBS;
use alcazar_text::Expected;
use axum::{
    extract::{Request, State},
    response::Response,
};

use super::{
    ApiError, body,
    chat_shape::{ChatShape, Parser},
    fields::{Fields, empty},
    generate::{Header, Job, check_model, start},
    knobs::Knobs,
    messages, sse, structured,
    tools::Tools,
};
use crate::{
    app::{App, Named},
    language::{Conversation, Input},
};

pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let served = app.ready()?;
    let (head, body) = request.into_parts();
    let (object, body_bytes) = body::read(&app.bodies, &head.headers, body).await?;
    let mut fields = Fields::new(object);
    let Named { name, adapter } = check_model(&mut fields, &app)?;
    let job = Job { adapter, ..parse(&mut fields, body_bytes)? };
    let (is_stream, n) = (job.knobs.is_stream, job.knobs.n);
    let (with_usage, with_logprobs) = (job.knobs.with_usage, job.knobs.logprobs.is_some());
    let started = start(served, job).await?;
    let format = served.language.format();
    let shape = ChatShape {
        header: Header::new("chatcmpl", name),
        language: Arc::clone(&served.language),
        parsers: (0..n).map(|_| Parser::new(format, &started.expected)).collect(),
        with_usage,
        with_logprobs,
    };
    sse::respond(shape, started.answers, is_stream).await
}

/// Pure: what the request asks for.
pub(super) fn parse(fields: &mut Fields, body_bytes: usize) -> Result<Job, ApiError> {
    fields.refuse(&[("documents", empty)])?;
    let mut knobs = Knobs::take(fields, 1)?;
    knobs.logprobs = logprobs(fields)?;
    let tools = Tools::take(fields)?;
    let grammar = structured::take(fields)?;
    let conversation = Conversation { tools: tools.for_template(), ..conversation(fields)? };
    let job =
        Job { field: "messages", knobs, body_bytes, is_parsed: true, ..Job::new(vec![Input::Chat(conversation)]) };
    with_tools(job, &tools, grammar)
}

/// Adds what tools and formats ask of the answer.
pub(super) fn with_tools(mut job: Job, tools: &Tools, grammar: Option<structured::Asked>) -> Result<Job, ApiError> {
    let forced = tools.grammar();
    if let (Some(_), Some(asked)) = (&forced, &grammar) {
        let message = "cannot be given while 'tool_choice' asks for a call";
        return Err(ApiError::field(asked.field.clone(), "invalid_value", message));
    }
    // An answer that is held to a format is no call.
    let functions = if grammar.is_some() { vec![] } else { tools.names() };
    job.expected = Expected { functions, is_forced: forced.is_some(), starts_thinking: false };
    job.grammar = forced.or(grammar);
    Ok(job)
}

fn logprobs(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    let most = i64::try_from(MAX_LOGPROBS).unwrap_or(i64::MAX);
    let is_asked = fields.bool("logprobs")?.unwrap_or(false);
    match fields.integer("top_logprobs", 0..=most)? {
        Some(n) if n > 0 && !is_asked => {
            Err(ApiError::field("top_logprobs", "invalid_value", "is only allowed when 'logprobs' is true"))
        }
        top => Ok(is_asked.then(|| top.and_then(|n| usize::try_from(n).ok()).unwrap_or(0))),
    }
}

pub(super) fn conversation(fields: &mut Fields) -> Result<Conversation, ApiError> {
    let mut extra = fields.object("chat_template_kwargs")?.map(Fields::into_map).unwrap_or_default();
    if let Some(effort) = fields.string("reasoning_effort")? {
        extra.entry("reasoning_effort").or_insert(effort.into());
    }
    Ok(Conversation {
        messages: messages::take(fields)?,
        add_generation_prompt: fields.bool("add_generation_prompt")?.unwrap_or(true),
        extra,
        ..Conversation::default()
    })
}
