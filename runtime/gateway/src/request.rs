//! What the gateway reads of a body: the few top-level fields that it routes and counts by. Pure.
//!
//! The body goes on as it came. The one exception is a stream whose client did not ask for its usage: it is asked for on
//! the client's behalf, and taken out of the answer again.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{
    Deserialize,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::route::Route;

/// Deepest nesting of a body. The runtime reads no deeper than 128.
const MAX_DEPTH: usize = 100;
/// Longest name of a model or an adapter that is looked up.
const MAX_MODEL_BYTES: usize = 512;
/// How much of a prompt decides where it goes. Beyond it, prompts that differ share little by chance.
const PREFIX_BYTES: usize = 4096;
/// English text has about four bytes to a token. The true count replaces the guess when the answer ends.
const BYTES_PER_TOKEN: usize = 4;

/// Why a body is not taken. No text of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is no UTF-8.
    Utf8,
    /// It nests deeper than [`MAX_DEPTH`].
    Deep,
    /// It is no JSON object.
    Json,
    /// `model` is missing.
    NoModel,
    /// `model` is there twice: which of them counts would be a matter of taste.
    TwoModels,
    /// `model` is no text, or longer than any name.
    Model,
}

/// What a body asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// As the body has it.
    pub(crate) model: String,
    /// Whether the answer is to come as events.
    pub(crate) is_stream: bool,
    /// Guess from the size of the prompt.
    pub(crate) prompt_tokens: u64,
    /// Equal for prompts that begin alike; absent where there is no prompt.
    pub(crate) prefix: Option<u64>,
    /// The body that asks for the usage as well; absent where the client did, or where none has to.
    pub(crate) with_usage: Option<Bytes>,
}

/// Reads a body.
pub(crate) fn read(route: Route, body: &Bytes) -> Result<Asked, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::Utf8)?;
    if is_deeper_than(body, MAX_DEPTH) {
        return Err(Unreadable::Deep);
    }
    let top: Top<'_> = serde_json::from_str(text).map_err(|_| Unreadable::Json)?;
    let model = match (top.model, top.models) {
        (_, 2..) => return Err(Unreadable::TwoModels),
        (None, _) => return Err(Unreadable::NoModel),
        (Some(raw), _) => serde_json::from_str::<String>(raw.get()).map_err(|_| Unreadable::Model)?,
    };
    if model.is_empty() || model.len() > MAX_MODEL_BYTES {
        return Err(Unreadable::Model);
    }
    let wants_usage = top.is_stream && route.has_stream_options();
    Ok(Asked {
        model,
        is_stream: top.is_stream,
        prompt_tokens: top.prompt_bytes.div_ceil(BYTES_PER_TOKEN).max(1) as u64,
        prefix: top.prompt.map(prefix_hash),
        with_usage: if wants_usage { asking_for_usage(text, top.stream_options) } else { None },
    })
}

/// Whether brackets nest deeper. What is no JSON is found later; strings and their escapes are what counts here.
fn is_deeper_than(body: &[u8], most: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        if in_string {
            (in_string, escaped) = match byte {
                _ if escaped => (true, false),
                b'\\' => (true, true),
                b'"' => (false, false),
                _ => (true, false),
            };
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > most {
            return true;
        }
    }
    false
}

/// Of a conversation, what stands before the first answer: later turns of it go where the first went.
fn prefix_hash(prompt: &RawValue) -> u64 {
    let messages = serde_json::from_str::<Vec<Message<'_>>>(prompt.get()).ok();
    let mut hash = Sha256::new();
    let mut room = PREFIX_BYTES;
    let mut take = |text: &str| {
        let taken = &text.as_bytes()[..text.len().min(room)];
        hash.update(taken);
        room -= taken.len();
    };
    match messages {
        Some(messages) => {
            for message in messages {
                take(message.content.map_or("", RawValue::get));
                if message.role == "user" {
                    break;
                }
            }
        }
        None => take(prompt.get()),
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// The same body with `stream_options.include_usage`, unless it has it.
fn asking_for_usage(text: &str, options: Option<&RawValue>) -> Option<Bytes> {
    let Some(options) = options else {
        let open = text.find('{')? + 1;
        let field = r#""stream_options":{"include_usage":true},"#;
        return Some(Bytes::from([&text[..open], field, &text[open..]].concat()));
    };
    let mut fields = match serde_json::from_str(options.get()).ok()? {
        serde_json::Value::Object(fields) => fields,
        serde_json::Value::Null => serde_json::Map::new(),
        // The runtime says what is wrong with it.
        _ => return None,
    };
    if fields.get("include_usage") == Some(&true.into()) {
        return None;
    }
    fields.insert("include_usage".to_owned(), true.into());
    let start = options.get().as_ptr() as usize - text.as_ptr() as usize;
    let end = start + options.get().len();
    let fields = serde_json::Value::Object(fields).to_string();
    Some(Bytes::from([&text[..start], &fields, &text[end..]].concat()))
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Default)]
struct Top<'a> {
    model: Option<&'a RawValue>,
    models: usize,
    is_stream: bool,
    stream_options: Option<&'a RawValue>,
    prompt: Option<&'a RawValue>,
    /// Of everything that the model reads.
    prompt_bytes: usize,
}

impl<'de> Deserialize<'de> for Top<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopVisitor)
    }
}

struct TopVisitor;

impl<'de> Visitor<'de> for TopVisitor {
    type Value = Top<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top<'de>, A::Error> {
        let mut top = Top::default();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "model" => {
                    top.model = Some(map.next_value()?);
                    top.models += 1;
                }
                "stream" => top.is_stream = map.next_value::<&RawValue>()?.get() == "true",
                "stream_options" => top.stream_options = Some(map.next_value()?),
                "messages" | "prompt" | "input" | "query" | "question" => {
                    let prompt: &RawValue = map.next_value()?;
                    top.prompt_bytes += prompt.get().len();
                    top.prompt = Some(prompt);
                }
                "documents" | "context" | "tools" | "instructions" => {
                    top.prompt_bytes += map.next_value::<&RawValue>()?.get().len();
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(top)
    }
}

#[cfg(test)]
mod tests;
