//! Responses: items of output, at once or as events.

use std::sync::Arc;

use alcazar_engine::Usage;
use alcazar_text::Delta;
use serde_json::{Value, json};

use super::super::{
    ApiError,
    chat_shape::Parser,
    generate::{Header, new_id},
    logprobs,
    sse::{Frame, Shape, Whole},
};
use crate::{
    answer::{Text, Told},
    language::Language,
};

pub(super) struct ResponseShape {
    header: Header,
    /// What is repeated of the request.
    told: Value,
    parser: Parser,
    items: Vec<Item>,
    n_events: u64,
    finish_reason: &'static str,
    /// Where probabilities are asked for: what words them.
    language: Option<Arc<dyn Language>>,
    /// Tokens whose text is held back.
    held: Vec<Told>,
}

struct Item {
    id: String,
    kind: Kind,
    /// Text, or arguments.
    text: String,
    /// Of a message's tokens.
    logprobs: Vec<Value>,
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Reasoning,
    Call { call_id: String, name: String },
}

impl Item {
    fn value(&self) -> Value {
        let status = if self.is_open { "in_progress" } else { "completed" };
        match &self.kind {
            Kind::Message => {
                let content = if self.is_open { json!([]) } else { json!([self.part()]) };
                json!({"id": self.id, "type": "message", "status": status, "role": "assistant", "content": content})
            }
            Kind::Reasoning => {
                let content = if self.is_open { json!([]) } else { json!([self.part()]) };
                json!({"id": self.id, "type": "reasoning", "status": status, "summary": [], "content": content})
            }
            Kind::Call { call_id, name } => json!({
                "id": self.id, "type": "function_call", "status": status, "call_id": call_id, "name": name,
                "arguments": self.text,
            }),
        }
    }

    fn part(&self) -> Value {
        match self.kind {
            Kind::Message => {
                json!({"type": "output_text", "text": self.text, "annotations": [], "logprobs": self.logprobs})
            }
            Kind::Reasoning | Kind::Call { .. } => json!({"type": "reasoning_text", "text": self.text}),
        }
    }

    /// Names of the events of a piece, and of its end, and the field of the end's text.
    const fn events(&self) -> (&'static str, &'static str, &'static str) {
        match self.kind {
            Kind::Message => ("response.output_text.delta", "response.output_text.done", "text"),
            Kind::Reasoning => ("response.reasoning_text.delta", "response.reasoning_text.done", "text"),
            Kind::Call { .. } => {
                ("response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments")
            }
        }
    }
}

impl ResponseShape {
    pub(super) const fn new(header: Header, told: Value, parser: Parser, language: Option<Arc<dyn Language>>) -> Self {
        Self { header, told, parser, items: Vec::new(), n_events: 0, finish_reason: "", language, held: Vec::new() }
    }

    fn object(&self, status: &str, usage: Option<&Usage>) -> Value {
        let incomplete = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
        let mut object = json!({
            "id": self.header.id, "object": "response", "created_at": self.header.created, "status": status,
            "error": null, "incomplete_details": incomplete, "model": self.header.model,
            "output": self.items.iter().map(Item::value).collect::<Vec<_>>(),
            "usage": usage.map(|usage| json!({
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": usage.cached_tokens},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": self.parser.reasoning_tokens()},
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            })),
        });
        if let (Value::Object(object), Value::Object(told)) = (&mut object, &self.told) {
            object.extend(told.clone());
        }
        object
    }

    fn event(&mut self, name: &'static str, mut data: Value) -> Frame {
        data["type"] = name.into();
        data["sequence_number"] = self.n_events.into();
        self.n_events += 1;
        Frame::named(name, data)
    }

    fn take(&mut self, delta: Delta) -> Vec<Frame> {
        match delta {
            Delta::Content(text) => {
                let tokens = std::mem::take(&mut self.held);
                let logprobs = self.language.as_ref().map(|language| logprobs::entries(&tokens, &**language));
                self.piece(Kind::Message, &text, logprobs.unwrap_or_default())
            }
            Delta::Reasoning(text) => {
                self.held.clear();
                self.piece(Kind::Reasoning, &text, vec![])
            }
            Delta::Call { name, .. } => {
                self.held.clear();
                let call_id = self.parser.call_id();
                let mut frames = self.end_item();
                frames.extend(self.begin(Kind::Call { call_id, name }));
                frames
            }
            Delta::Arguments { text, .. } => match self.items.last().map(|item| item.kind.clone()) {
                Some(kind @ Kind::Call { .. }) => self.piece(kind, &text, vec![]),
                _ => vec![],
            },
        }
    }

    /// More of the open item, or of a new one when it is of another kind.
    fn piece(&mut self, kind: Kind, text: &str, logprobs: Vec<Value>) -> Vec<Frame> {
        let mut frames = Vec::new();
        if self.items.last().is_none_or(|item| item.kind != kind || !item.is_open) {
            frames.extend(self.end_item());
            frames.extend(self.begin(kind));
        }
        let output_index = self.items.len() - 1;
        let Some(item) = self.items.last_mut() else { return frames };
        item.text.push_str(text);
        let (name, _, _) = item.events();
        let mut data = json!({"item_id": item.id, "output_index": output_index, "delta": text});
        if !matches!(item.kind, Kind::Call { .. }) {
            data["content_index"] = 0.into();
        }
        if item.kind == Kind::Message {
            data["logprobs"] = json!(logprobs);
            item.logprobs.extend(logprobs);
        }
        frames.push(self.event(name, data));
        frames
    }

    fn begin(&mut self, kind: Kind) -> Vec<Frame> {
        let prefix = match kind {
            Kind::Message => "msg",
            Kind::Reasoning => "rs",
            Kind::Call { .. } => "fc",
        };
        let is_call = matches!(kind, Kind::Call { .. });
        let item = Item { id: new_id(prefix), kind, text: String::new(), logprobs: vec![], is_open: true };
        let (id, part, value, output_index) = (item.id.clone(), item.part(), item.value(), self.items.len());
        self.items.push(item);
        let mut frames =
            vec![self.event("response.output_item.added", json!({"output_index": output_index, "item": value}))];
        if !is_call {
            let data = json!({"item_id": id, "output_index": output_index, "content_index": 0, "part": part});
            frames.push(self.event("response.content_part.added", data));
        }
        frames
    }

    fn end_item(&mut self) -> Vec<Frame> {
        let Some(output_index) = self.items.len().checked_sub(1) else { return vec![] };
        let Some(item) = self.items.last_mut().filter(|item| item.is_open) else { return vec![] };
        item.is_open = false;
        let (_, name, field) = item.events();
        let (id, part, value) = (item.id.clone(), item.part(), item.value());
        let mut data = json!({"item_id": id, "output_index": output_index});
        data[field] = item.text.clone().into();
        let call_name = match &item.kind {
            Kind::Call { name, .. } => Some(name.clone()),
            Kind::Message | Kind::Reasoning => None,
        };
        let logprobs = (item.kind == Kind::Message).then(|| json!(item.logprobs));
        let mut frames = Vec::new();
        if let Some(call_name) = call_name {
            data["name"] = call_name.into();
            frames.push(self.event(name, data));
        } else {
            data["content_index"] = 0.into();
            if let Some(logprobs) = logprobs {
                data["logprobs"] = logprobs;
            }
            frames.push(self.event(name, data));
            let data = json!({"item_id": id, "output_index": output_index, "content_index": 0, "part": part});
            frames.push(self.event("response.content_part.done", data));
        }
        frames.push(self.event("response.output_item.done", json!({"output_index": output_index, "item": value})));
        frames
    }

    fn status(&self) -> &'static str {
        if self.finish_reason == "length" { "incomplete" } else { "completed" }
    }
}

impl Shape for ResponseShape {
    fn opening(&mut self) -> Vec<Frame> {
        let names = ["response.created", "response.in_progress"];
        let response = self.object("in_progress", None);
        names.into_iter().map(|name| self.event(name, json!({"response": response}))).collect()
    }

    fn text(&mut self, _: usize, text: Text) -> Vec<Frame> {
        let thoughts = self.parser.reasoning_tokens();
        let deltas = self.parser.push(&text);
        if self.language.is_some() && self.parser.reasoning_tokens() == thoughts {
            self.held.extend(text.tokens);
        }
        deltas.into_iter().flat_map(|delta| self.take(delta)).collect()
    }

    fn end(&mut self, _: usize, finish_reason: &'static str) -> Vec<Frame> {
        self.finish_reason = finish_reason;
        let mut frames: Vec<Frame> = self.parser.finish().into_iter().flat_map(|delta| self.take(delta)).collect();
        frames.extend(self.end_item());
        frames
    }

    fn close(&mut self, usage: &Usage) -> Vec<Frame> {
        let status = self.status();
        let name = if status == "incomplete" { "response.incomplete" } else { "response.completed" };
        let response = self.object(status, Some(usage));
        vec![self.event(name, json!({"response": response}))]
    }

    fn failed(&mut self, error: &ApiError) -> Vec<Frame> {
        let error = error.body();
        let mut response = self.object("failed", None);
        response["error"] = json!({"code": "server_error", "message": error["error"]["message"]});
        vec![self.event("response.failed", json!({"response": response}))]
    }

    fn whole(&mut self, choices: Vec<Whole>, usage: &Usage) -> Value {
        for whole in choices {
            for piece in whole.pieces {
                self.text(0, piece);
            }
            self.end(0, whole.finish_reason);
        }
        self.object(self.status(), Some(usage))
    }
}
