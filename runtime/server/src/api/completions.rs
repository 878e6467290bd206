//! `/v1/completions`: prompts as text or tokens, continued.

use std::sync::Arc;

use alcazar_engine::{MAX_LOGPROBS, Usage};
use axum::{
    extract::{Request, State},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    ApiError, body,
    fields::{Fields, empty, wrong_type},
    generate::{Header, Job, check_model, start},
    knobs::{Knobs, parse_tokens},
    logprobs,
    sse::{self, Frame, Shape, Whole},
    structured,
};
use crate::{
    answer::{Text, Told},
    app::{App, Named},
    language::{Input, Language},
};

/// What this route of the OpenAI API does without `max_tokens`.
const DEFAULT_MAX_TOKENS: usize = 16;

pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let served = app.ready()?;
    let (head, body) = request.into_parts();
    let (object, body_bytes) = body::read(&app.bodies, &head.headers, body).await?;
    let mut fields = Fields::new(object);
    let Named { name, adapter } = check_model(&mut fields, &app)?;
    let job = Job { adapter, ..parse(&mut fields, body_bytes)? };
    let shape = TextShape {
        header: Header::new("cmpl", name),
        language: Arc::clone(&served.language),
        offsets: vec![0; job.inputs.len() * job.knobs.n],
        with_usage: job.knobs.with_usage,
        with_logprobs: job.knobs.logprobs.is_some(),
    };
    let is_stream = job.knobs.is_stream;
    sse::respond(shape, start(served, job).await?.answers, is_stream).await
}

/// Pure: what the request asks for.
pub(super) fn parse(fields: &mut Fields, body_bytes: usize) -> Result<Job, ApiError> {
    fields.refuse(&[("suffix", empty)])?;
    let echo = fields.bool("echo")?.unwrap_or(false);
    let mut knobs = Knobs::take(fields, i64::from(!echo))?;
    knobs.max_tokens.get_or_insert(DEFAULT_MAX_TOKENS.max(knobs.min_tokens));
    let most = i64::try_from(MAX_LOGPROBS).unwrap_or(i64::MAX);
    knobs.logprobs = fields.integer("logprobs", 0..=most)?.and_then(|n| usize::try_from(n).ok());
    let with_special = fields.bool("add_special_tokens")?.unwrap_or(true);
    let inputs = prompts(fields, with_special)?;
    let grammar = structured::take(fields)?;
    Ok(Job { echo, knobs, grammar, body_bytes, ..Job::new(inputs) })
}

fn prompts(fields: &mut Fields, with_special: bool) -> Result<Vec<Input>, ApiError> {
    let text = |text: String| Input::Text { text, with_special };
    match fields.take("prompt") {
        None => Err(ApiError::field("prompt", "missing_required_parameter", "is missing")),
        Some(Value::String(prompt)) => Ok(vec![text(prompt)]),
        Some(Value::Array(items)) if matches!(items.first(), Some(Value::String(_) | Value::Array(_))) => {
            let one = |(n, item): (usize, Value)| match item {
                Value::String(prompt) => Ok(text(prompt)),
                Value::Array(tokens) => parse_tokens(&format!("prompt[{n}]"), &tokens).map(Input::Tokens),
                other => Err(wrong_type(&format!("prompt[{n}]"), "a string or a list of tokens", &other)),
            };
            items.into_iter().enumerate().map(one).collect()
        }
        Some(Value::Array(tokens)) => Ok(vec![Input::Tokens(parse_tokens("prompt", &tokens)?)]),
        Some(other) => Err(wrong_type("prompt", "a string or a list of tokens", &other)),
    }
}

struct TextShape {
    header: Header,
    language: Arc<dyn Language>,
    /// Characters of each choice that were told.
    offsets: Vec<usize>,
    with_usage: bool,
    with_logprobs: bool,
}

impl TextShape {
    fn object(&self, choices: &Value) -> Value {
        let Header { id, created, model } = &self.header;
        json!({"id": id, "object": "text_completion", "created": created, "model": model, "choices": choices})
    }

    fn chunk(&self, choice: &Value) -> Vec<Frame> {
        let mut chunk = self.object(&json!([choice]));
        if self.with_usage {
            chunk["usage"] = Value::Null;
        }
        vec![Frame::data(chunk)]
    }

    fn choice(&mut self, index: usize, text: &str, tokens: &[Told], finish_reason: Option<&str>) -> Value {
        let logprobs = match self.offsets.get_mut(index) {
            Some(offset) if self.with_logprobs && !(tokens.is_empty() && text.is_empty()) => {
                logprobs::completion(tokens, offset, &*self.language)
            }
            _ => Value::Null,
        };
        json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason})
    }
}

impl Shape for TextShape {
    fn opening(&mut self) -> Vec<Frame> {
        vec![]
    }

    fn text(&mut self, choice: usize, text: Text) -> Vec<Frame> {
        let choice = self.choice(choice, &text.text, &text.tokens, None);
        self.chunk(&choice)
    }

    fn end(&mut self, choice: usize, finish_reason: &'static str) -> Vec<Frame> {
        let choice = self.choice(choice, "", &[], Some(finish_reason));
        self.chunk(&choice)
    }

    fn close(&mut self, usage: &Usage) -> Vec<Frame> {
        let mut last = self.object(&json!([]));
        last["usage"] = sse::usage(usage, 0);
        self.with_usage.then_some(Frame::data(last)).into_iter().chain([Frame::DONE]).collect()
    }

    fn whole(&mut self, choices: Vec<Whole>, usage: &Usage) -> Value {
        let choices = choices.iter().enumerate();
        let choices =
            choices.map(|(n, whole)| self.choice(n, &whole.text(), &whole.tokens(), Some(whole.finish_reason)));
        let mut answer = Value::Array(choices.collect());
        answer = self.object(&answer);
        answer["usage"] = sse::usage(usage, 0);
        answer
    }
}
