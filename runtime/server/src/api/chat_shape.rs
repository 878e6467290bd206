//! Chat answers: content, reasoning and tool calls, at once or piece by piece.

use std::sync::Arc;

use alcazar_engine::Usage;
use alcazar_text::{Delta, Expected, OutputFormat, OutputParser, ToolFormat};
use serde_json::{Value, json};

use super::{
    generate::{Header, new_id},
    logprobs,
    sse::{self, Frame, Shape, Whole},
};
use crate::{
    answer::{Text, Told},
    language::Language,
};

pub(super) struct ChatShape {
    pub header: Header,
    pub language: Arc<dyn Language>,
    pub parsers: Vec<Parser>,
    pub with_usage: bool,
    pub with_logprobs: bool,
}

/// One choice's parser.
pub(super) struct Parser {
    inner: OutputParser,
    format: OutputFormat,
    n_calls: usize,
    /// Tokens of thoughts, their marks included.
    reasoning_tokens: usize,
}

/// A choice that was taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub content: String,
    pub reasoning: String,
    /// Id, name, arguments.
    pub calls: Vec<(String, String, String)>,
}

impl Parser {
    pub(super) fn new(format: OutputFormat, expected: &Expected) -> Self {
        Self { inner: OutputParser::new(format, expected.clone()), format, n_calls: 0, reasoning_tokens: 0 }
    }

    pub(super) fn push(&mut self, piece: &Text) -> Vec<Delta> {
        let was_thinking = self.inner.is_thinking();
        let deltas = self.inner.push(&piece.text);
        if was_thinking || self.inner.is_thinking() {
            self.reasoning_tokens += piece.tokens.len();
        }
        self.count(deltas)
    }

    pub(super) const fn reasoning_tokens(&self) -> usize {
        self.reasoning_tokens
    }

    pub(super) fn finish(&mut self) -> Vec<Delta> {
        let deltas = self.inner.finish();
        self.count(deltas)
            .into_iter()
            .filter(|delta| !matches!(delta, Delta::Content(text) | Delta::Reasoning(text) if text.is_empty()))
            .collect()
    }

    fn count(&mut self, deltas: Vec<Delta>) -> Vec<Delta> {
        self.n_calls += deltas.iter().filter(|delta| matches!(delta, Delta::Call { .. })).count();
        deltas
    }

    /// A name for a call. Mistral's templates take nothing but nine letters and digits.
    pub(super) fn call_id(&self) -> String {
        let id = new_id("call");
        match self.format.tools {
            ToolFormat::Mistral => id.chars().rev().take(9).collect(),
            _ => id,
        }
    }

    /// The reason as the API words it.
    pub(super) const fn reason(&self, finish_reason: &'static str) -> &'static str {
        if self.n_calls > 0 && matches!(finish_reason.as_bytes(), b"stop") { "tool_calls" } else { finish_reason }
    }

    /// All of an answer.
    pub(super) fn parts(&mut self, pieces: &[Text]) -> Parts {
        let mut parts = Parts::default();
        let mut deltas: Vec<Delta> = pieces.iter().flat_map(|piece| self.push(piece)).collect();
        deltas.extend(self.finish());
        for delta in deltas {
            match delta {
                Delta::Content(text) => parts.content.push_str(&text),
                Delta::Reasoning(text) => parts.reasoning.push_str(&text),
                Delta::Call { name, .. } => parts.calls.push((self.call_id(), name, String::new())),
                Delta::Arguments { index, text } => {
                    if let Some((_, _, arguments)) = parts.calls.get_mut(index) {
                        arguments.push_str(&text);
                    }
                }
            }
        }
        parts
    }
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

    /// A chunk for each part; the probabilities go with the first.
    fn deltas(&self, index: usize, deltas: Vec<Delta>, tokens: &[Told]) -> Vec<Frame> {
        let mut values: Vec<Value> = deltas.into_iter().map(|delta| self.delta(index, delta)).collect();
        if values.is_empty() && self.with_logprobs && !tokens.is_empty() {
            values.push(json!({"content": ""}));
        }
        let mut logprobs = self.logprobs(tokens);
        values.iter().map(|delta| self.chunk(index, delta, &logprobs.take(), None)).collect()
    }

    fn reasoning_tokens(&self) -> usize {
        self.parsers.iter().map(Parser::reasoning_tokens).sum()
    }

    fn delta(&self, choice: usize, delta: Delta) -> Value {
        match delta {
            Delta::Content(text) => json!({"content": text}),
            Delta::Reasoning(text) => json!({"reasoning_content": text}),
            Delta::Call { index, name } => {
                let id = self.parsers.get(choice).map(Parser::call_id);
                let function = json!({"name": name, "arguments": ""});
                json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
            }
            Delta::Arguments { index, text } => {
                json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
            }
        }
    }

    fn choice(&mut self, index: usize, whole: &Whole) -> Value {
        let logprobs = self.logprobs(&whole.tokens());
        let Some(parser) = self.parsers.get_mut(index) else { return Value::Null };
        let parts = parser.parts(&whole.pieces);
        let reason = parser.reason(whole.finish_reason);
        let mut message = json!({"role": "assistant", "content": parts.content, "refusal": null});
        if !parts.reasoning.is_empty() {
            message["reasoning_content"] = parts.reasoning.into();
        }
        if !parts.calls.is_empty() {
            let call = |(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
            message["tool_calls"] = parts.calls.into_iter().map(call).collect();
            if message["content"] == "" {
                message["content"] = Value::Null;
            }
        }
        json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason})
    }
}

impl Shape for ChatShape {
    fn opening(&mut self) -> Vec<Frame> {
        let delta = json!({"role": "assistant", "content": ""});
        (0..self.parsers.len()).map(|index| self.chunk(index, &delta, &Value::Null, None)).collect()
    }

    fn text(&mut self, choice: usize, text: Text) -> Vec<Frame> {
        let deltas = self.parsers.get_mut(choice).map(|parser| parser.push(&text)).unwrap_or_default();
        self.deltas(choice, deltas, &text.tokens)
    }

    fn end(&mut self, choice: usize, finish_reason: &'static str) -> Vec<Frame> {
        let deltas = self.parsers.get_mut(choice).map(Parser::finish).unwrap_or_default();
        let mut frames = self.deltas(choice, deltas, &[]);
        let reason = self.parsers.get(choice).map_or(finish_reason, |parser| parser.reason(finish_reason));
        frames.push(self.chunk(choice, &json!({}), &Value::Null, Some(reason)));
        frames
    }

    fn close(&mut self, usage: &Usage) -> Vec<Frame> {
        let mut last = self.object("chat.completion.chunk", &json!([]));
        last["usage"] = sse::usage(usage, self.reasoning_tokens());
        self.with_usage.then_some(Frame::data(last)).into_iter().chain([Frame::DONE]).collect()
    }

    fn whole(&mut self, choices: Vec<Whole>, usage: &Usage) -> Value {
        let choices = choices.iter().enumerate().map(|(index, whole)| self.choice(index, whole)).collect();
        let mut answer = self.object("chat.completion", &choices);
        answer["usage"] = sse::usage(usage, self.reasoning_tokens());
        answer
    }
}
