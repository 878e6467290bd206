//! Counts the tokens of an answer as it passes, and takes out of it what only we asked for. Pure.
//!
//! Events are passed on as they come. Where the usage was asked for on the client's behalf, whole events are passed on, since
//! one of them is not for the client; the runtime sends whole events, so this holds nothing up.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

/// Longest event that is looked into, and how much of a JSON answer's end is kept to find its usage.
const MAX_EVENT_BYTES: usize = 1 << 20;
const TAIL_BYTES: usize = 8 << 10;
/// How the runtime writes a chunk's usage while there is none.
const NULL_USAGE: &[u8] = br#","usage":null}"#;

/// Tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Events; `strip`: the usage is ours, not the client's.
    Events { strip: bool },
    /// One JSON object.
    Whole,
    /// Nothing that tells of tokens: an error, or something else.
    Other,
}

/// Counts one answer.
#[derive(Debug)]
pub(crate) struct Meter {
    form: Form,
    usage: Option<Tokens>,
    /// Events with text, so far: about one token each.
    events: u64,
    /// What does not end an event yet, or the end of a JSON answer.
    rest: BytesMut,
}

impl Meter {
    pub(crate) fn new(form: Form) -> Self {
        Self { form, usage: None, events: 0, rest: BytesMut::new() }
    }

    /// Whether chunks may change on their way.
    pub(crate) fn is_changing(&self) -> bool {
        matches!(self.form, Form::Events { strip: true })
    }

    /// What the answer told, or what was counted of it: a client that leaves early never sees the usage.
    pub(crate) fn tokens(&self, estimated_prompt: u64) -> Tokens {
        match (self.usage, self.form) {
            (Some(usage), _) => usage,
            (None, Form::Events { .. }) => Tokens { prompt: estimated_prompt, completion: self.events },
            (None, Form::Whole) => Tokens { prompt: estimated_prompt, completion: 0 },
            (None, Form::Other) => Tokens::default(),
        }
    }

    /// Takes a chunk and gives what goes on of it.
    pub(crate) fn pass(&mut self, chunk: Bytes) -> Bytes {
        match self.form {
            Form::Other => chunk,
            Form::Whole => {
                self.keep_tail(&chunk);
                chunk
            }
            Form::Events { strip: false } => {
                self.look(&chunk);
                chunk
            }
            Form::Events { strip: true } => self.strip(&chunk),
        }
    }

    /// The answer is over: what is left goes on.
    pub(crate) fn finish(&mut self) -> Bytes {
        let rest = std::mem::take(&mut self.rest).freeze();
        match self.form {
            Form::Whole => {
                self.usage = usage_at_end(&rest);
                Bytes::new()
            }
            Form::Events { strip: true } => rest,
            _ => Bytes::new(),
        }
    }

    fn keep_tail(&mut self, chunk: &Bytes) {
        let chunk = &chunk[chunk.len().saturating_sub(TAIL_BYTES)..];
        self.rest.extend_from_slice(chunk);
        if self.rest.len() > 4 * TAIL_BYTES {
            let old = self.rest.len() - TAIL_BYTES;
            drop(self.rest.split_to(old));
        }
    }

    /// Looks at events that end in this chunk, which has gone on already.
    fn look(&mut self, chunk: &Bytes) {
        if self.rest.is_empty() {
            let whole = end_of_events(chunk);
            self.count_all(&chunk[..whole]);
            self.rest.extend_from_slice(&chunk[whole..]);
        } else {
            self.rest.extend_from_slice(chunk);
            let whole = end_of_events(&self.rest);
            let events = self.rest.split_to(whole);
            self.count_all(&events);
        }
        if self.rest.len() > MAX_EVENT_BYTES {
            self.rest.clear();
        }
    }

    fn count_all(&mut self, mut events: &[u8]) {
        while !events.is_empty() {
            let (event, after) = first_event(events);
            self.count(event);
            events = after;
        }
    }

    /// Whether the event goes on to a client that did not ask for the usage.
    fn count(&mut self, event: &[u8]) -> bool {
        let Some(data) = data_of(event) else { return true };
        if data == b"[DONE]" {
            return true;
        }
        self.events += 1;
        if data.ends_with(NULL_USAGE) || !contains(data, br#""usage""#) {
            return true;
        }
        let Ok(told) = serde_json::from_slice::<Told>(data) else { return true };
        let usage = told.usage.or(told.response.and_then(|response| response.usage));
        let Some(usage) = usage else { return true };
        self.usage = Some(usage.tokens());
        // The event that has nothing but the usage.
        self.events -= 1;
        !told.choices.is_some_and(|choices| choices.is_empty())
    }

    fn strip(&mut self, chunk: &Bytes) -> Bytes {
        let events = if self.rest.is_empty() {
            let whole = end_of_events(chunk);
            self.rest.extend_from_slice(&chunk[whole..]);
            chunk.slice(..whole)
        } else {
            self.rest.extend_from_slice(chunk);
            let whole = end_of_events(&self.rest);
            self.rest.split_to(whole).freeze()
        };
        if self.rest.len() > MAX_EVENT_BYTES {
            // No event of ours; it goes on as it is.
            let rest = self.rest.split().freeze();
            return [events, rest].concat().into();
        }
        let mut out = BytesMut::with_capacity(events.len());
        let mut left = &events[..];
        while !left.is_empty() {
            let (event, after) = first_event(left);
            left = after;
            if self.count(event) {
                without_null_usage(event, &mut out);
            }
        }
        out.freeze()
    }
}

/// Where the last whole event ends.
fn end_of_events(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\n\n") {
        return bytes.len();
    }
    let ends = |end: &[u8]| bytes.windows(end.len()).rposition(|window| window == end).map(|at| at + end.len());
    ends(b"\n\n").max(ends(b"\r\n\r\n")).unwrap_or(0)
}

/// The first event with the blank line that ends it, and what follows.
fn first_event(bytes: &[u8]) -> (&[u8], &[u8]) {
    let ends = |end: &[u8]| bytes.windows(end.len()).position(|window| window == end).map(|at| at + end.len());
    let end = [ends(b"\n\n"), ends(b"\r\n\r\n")].into_iter().flatten().min().unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// Of an event with one line of data, as all of OpenAI's have.
fn data_of(event: &[u8]) -> Option<&[u8]> {
    let line = event.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data:"))?;
    Some(line.trim_ascii())
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

fn without_null_usage(event: &[u8], out: &mut BytesMut) {
    let text = event.trim_ascii_end();
    match text.strip_suffix(NULL_USAGE) {
        Some(before) => {
            out.extend_from_slice(before);
            out.extend_from_slice(b"}");
            out.extend_from_slice(&event[text.len()..]);
        }
        None => out.extend_from_slice(event),
    }
}

fn usage_at_end(tail: &[u8]) -> Option<Tokens> {
    let word = br#""usage":"#;
    let at = tail.windows(word.len()).rposition(|window| window == word)?;
    let mut objects = serde_json::Deserializer::from_slice(&tail[at + word.len()..]).into_iter::<Usage>();
    objects.next()?.ok().map(|usage| usage.tokens())
}

#[derive(Deserialize)]
struct Told {
    usage: Option<Usage>,
    choices: Option<Vec<serde::de::IgnoredAny>>,
    response: Option<ResponseTold>,
}

#[derive(Deserialize)]
struct ResponseTold {
    usage: Option<Usage>,
}

/// As chat, completions and embeddings name them, and as responses do.
#[derive(Deserialize)]
struct Usage {
    #[serde(alias = "input_tokens", default)]
    prompt_tokens: u64,
    #[serde(alias = "output_tokens", default)]
    completion_tokens: u64,
}

impl Usage {
    fn tokens(&self) -> Tokens {
        Tokens { prompt: self.prompt_tokens, completion: self.completion_tokens }
    }
}

#[cfg(test)]
mod tests;
