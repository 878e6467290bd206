//! `/v1/chat/completions`.

use std::sync::Arc;

use alcazar_engine::{MAX_LOGPROBS, Usage};
use axum::{
    extract::{Request, State},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    ApiError, body,
    fields::{Fields, empty},
    generate::{Header, Job, check_model, start},
    knobs::Knobs,
    logprobs, messages,
    sse::{self, Frame, Shape, Whole},
};
use crate::{
    answer::{Text, Told},
    app::App,
    language::{Conversation, Input, Language},
};

pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let served = app.ready()?;
    let (head, body) = request.into_parts();
    let (object, body_bytes) = body::read(&app.bodies, &head.headers, body).await?;
    let mut fields = Fields::new(object);
    check_model(&mut fields, &app)?;
    let job = parse(&mut fields, body_bytes)?;
    let shape = ChatShape {
        header: Header::new("chatcmpl", &app),
        language: Arc::clone(&served.language),
        n_choices: job.knobs.n,
        with_usage: job.knobs.with_usage,
        with_logprobs: job.knobs.logprobs.is_some(),
    };
    let is_stream = job.knobs.is_stream;
    sse::respond(shape, start(served, job).await?, is_stream).await
}

/// Pure: what the request asks for.
pub(super) fn parse(fields: &mut Fields, body_bytes: usize) -> Result<Job, ApiError> {
    fields.refuse(&[
        ("documents", empty),
        ("tools", empty),
        ("tool_choice", |value| value == "none" || value == "auto"),
        ("response_format", |value| value["type"] == "text"),
        ("structured_outputs", empty),
    ])?;
    let mut knobs = Knobs::take(fields, 1)?;
    knobs.logprobs = logprobs_asked(fields)?;
    let conversation = conversation(fields)?;
    Ok(Job { inputs: vec![Input::Chat(conversation)], field: "messages", echo: false, knobs, body_bytes })
}

fn logprobs_asked(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
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
        tools: Value::Null,
        add_generation_prompt: fields.bool("add_generation_prompt")?.unwrap_or(true),
        extra,
    })
}

struct ChatShape {
    header: Header,
    language: Arc<dyn Language>,
    n_choices: usize,
    with_usage: bool,
    with_logprobs: bool,
}

impl ChatShape {
    fn object(&self, kind: &str, choices: &Value) -> Value {
        let Header { id, created, model } = &self.header;
        json!({"id": id, "object": kind, "created": created, "model": model, "choices": choices})
    }

    fn chunk(&self, index: usize, delta: &Value, logprobs: &Value, finish_reason: Option<&str>) -> Frame {
        let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason});
        let mut chunk = self.object("chat.completion.chunk", &json!([choice]));
        if self.with_usage {
            chunk["usage"] = Value::Null;
        }
        Frame::data(chunk)
    }

    fn logprobs(&self, tokens: &[Told]) -> Value {
        if self.with_logprobs { logprobs::chat(tokens, &*self.language) } else { Value::Null }
    }
}

impl Shape for ChatShape {
    fn opening(&mut self) -> Vec<Frame> {
        let delta = json!({"role": "assistant", "content": ""});
        (0..self.n_choices).map(|index| self.chunk(index, &delta, &Value::Null, None)).collect()
    }

    fn text(&mut self, choice: usize, text: Text) -> Vec<Frame> {
        let logprobs = self.logprobs(&text.tokens);
        vec![self.chunk(choice, &json!({"content": text.text}), &logprobs, None)]
    }

    fn end(&mut self, choice: usize, finish_reason: &'static str) -> Vec<Frame> {
        vec![self.chunk(choice, &json!({}), &Value::Null, Some(finish_reason))]
    }

    fn close(&mut self, usage: &Usage) -> Vec<Frame> {
        let mut last = self.object("chat.completion.chunk", &json!([]));
        last["usage"] = sse::usage(usage);
        self.with_usage.then_some(Frame::data(last)).into_iter().chain([Frame::DONE]).collect()
    }

    fn whole(&mut self, choices: Vec<Whole>, usage: &Usage) -> Value {
        let choices = choices.into_iter().enumerate().map(|(index, whole)| {
            let message = json!({"role": "assistant", "content": whole.text, "refusal": null});
            let logprobs = self.logprobs(&whole.tokens);
            json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": whole.finish_reason})
        });
        let choices = Value::Array(choices.collect());
        let mut answer = self.object("chat.completion", &choices);
        answer["usage"] = sse::usage(usage);
        answer
    }
}
