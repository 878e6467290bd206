//! Finds the calls in what a model says.

use super::{
    Delta, Expected, ToolFormat,
    calls::{CallScanner, Part, Scan},
    marks::{Found, take},
};

#[derive(Debug)]
pub(super) struct Tools {
    format: ToolFormat,
    expected: Expected,
    state: State,
    held: String,
    n_calls: usize,
    /// Blanks after a call belong to it.
    after_call: bool,
}

#[derive(Debug)]
enum State {
    /// Nothing but blanks yet.
    Before,
    Text,
    /// Between calls.
    Between,
    /// Within the name of a call that stands before its arguments.
    Name(String),
    /// Within a call; `raw` is what it was read from, in case it is none, while nothing of it was told.
    Call {
        scanner: Box<CallScanner>,
        raw: String,
        is_told: bool,
        is_bare: bool,
    },
}

impl Tools {
    pub(super) fn new(format: ToolFormat, expected: Expected) -> Self {
        Self { format, expected, state: State::Before, held: String::new(), n_calls: 0, after_call: false }
    }

    const fn open(&self) -> Option<&'static str> {
        match self.format {
            ToolFormat::Hermes => Some("<tool_call>"),
            ToolFormat::Llama3 => Some("<|python_tag|>"),
            ToolFormat::Mistral => Some("[TOOL_CALLS]"),
            ToolFormat::DeepSeek => Some("<｜tool▁calls▁begin｜>"),
            ToolFormat::Harmony | ToolFormat::Json => None,
        }
    }

    const fn close(&self) -> Option<&'static str> {
        match self.format {
            ToolFormat::Hermes => Some("</tool_call>"),
            ToolFormat::DeepSeek => Some("<｜tool▁calls▁end｜>"),
            _ => None,
        }
    }

    /// What may stand between calls, beside blanks.
    const fn between_calls(&self) -> &'static [&'static str] {
        match self.format {
            ToolFormat::DeepSeek => &["```", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"],
            _ => &[],
        }
    }

    /// Whether a call's name stands before its arguments and not in them.
    const fn has_name_first(&self) -> bool {
        matches!(self.format, ToolFormat::Mistral | ToolFormat::DeepSeek)
    }

    /// Whether a call may stand without a mark, at the beginning of an answer.
    const fn may_be_bare(&self) -> bool {
        matches!(self.format, ToolFormat::Llama3 | ToolFormat::Json)
    }

    pub(super) fn push(&mut self, text: &str) -> Vec<Delta> {
        self.held.push_str(text);
        let mut deltas = Vec::new();
        while self.advance(&mut deltas) {}
        deltas
    }

    pub(super) fn finish(&mut self) -> Vec<Delta> {
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, State::Text) {
            State::Before | State::Text => vec![Delta::Content(held)],
            State::Call { raw, is_told: false, .. } => vec![Delta::Content(raw + &held)],
            State::Call { .. } | State::Between => vec![],
            State::Name(name) => vec![Delta::Content(name + &held)],
        }
    }

    /// Does what can be done with what is held; `false`: more text is needed.
    fn advance(&mut self, deltas: &mut Vec<Delta>) -> bool {
        match &mut self.state {
            State::Before => self.before(),
            State::Text => self.text(deltas),
            State::Between => self.between(),
            State::Name(_) => self.name(deltas),
            State::Call { .. } => self.call(deltas),
        }
    }

    fn before(&mut self) -> bool {
        let begun = self.held.trim_start();
        match begun.chars().next() {
            None => return false,
            Some('{' | '[') if self.may_be_bare() => self.state = State::Between,
            Some(_) => self.state = State::Text,
        }
        true
    }

    fn text(&mut self, deltas: &mut Vec<Delta>) -> bool {
        if self.after_call {
            self.held = self.held.trim_start().to_owned();
            self.after_call = self.held.is_empty();
        }
        let Some(open) = self.open() else {
            deltas.push(Delta::Content(std::mem::take(&mut self.held)));
            return false;
        };
        match take(&mut self.held, &[open]) {
            Found::Text(text) => {
                // Blanks before a mark belong to it.
                let kept = text.trim_end().len();
                let blanks = text.get(kept..).unwrap_or_default();
                self.held.insert_str(0, blanks);
                deltas.push(Delta::Content(text.get(..kept).unwrap_or_default().to_owned()));
                false
            }
            Found::Mark(text, _) => {
                deltas.push(Delta::Content(text.trim_end().to_owned()));
                self.state = State::Between;
                true
            }
        }
    }

    fn between(&mut self) -> bool {
        let is_gap = |c: char| c.is_whitespace() || matches!(c, '[' | ']' | ',' | ';');
        let has_close = self.close().is_some();
        let rest = if has_close { self.held.trim_start() } else { self.held.trim_start_matches(is_gap) };
        self.held = rest.to_owned();
        if let Some(mark) = self.between_calls().iter().find(|mark| self.held.starts_with(**mark)) {
            self.held = self.held.split_off(mark.len());
            return true;
        }
        if !self.held.is_empty() && self.between_calls().iter().any(|mark| mark.starts_with(self.held.as_str())) {
            return false;
        }
        let Some(first) = self.held.chars().next() else { return false };
        let close = self.close().unwrap_or_default();
        if first == '{' {
            let is_bare = self.may_be_bare();
            self.state = State::Call { scanner: Box::default(), raw: String::new(), is_told: false, is_bare };
            return true;
        }
        if has_close && self.held.starts_with(close) {
            self.held = self.held.split_off(close.len());
            self.after_call = true;
            self.state = State::Text;
            return true;
        }
        if has_close && close.starts_with(self.held.as_str()) {
            return false;
        }
        if self.has_name_first() && (first.is_alphanumeric() || first == '_') {
            self.state = State::Name(String::new());
            return true;
        }
        // After the calls something else follows.
        self.state = State::Text;
        true
    }

    fn name(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let State::Name(name) = &mut self.state else { return false };
        let Some(at) = self.held.find('{') else {
            name.push_str(&std::mem::take(&mut self.held));
            return false;
        };
        let rest = self.held.split_off(at);
        name.push_str(&std::mem::replace(&mut self.held, rest));
        let name = called(name).to_owned();
        deltas.push(Delta::Call { index: self.n_calls, name: name.clone() });
        let scanner = Box::new(CallScanner::of_arguments(name));
        self.state = State::Call { scanner, raw: String::new(), is_told: true, is_bare: false };
        true
    }

    fn call(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let State::Call { scanner, raw, is_told, is_bare } = &mut self.state else { return false };
        let mut parts = Vec::new();
        let (mut outcome, mut used) = (Scan::Open, self.held.len());
        for (at, c) in self.held.char_indices() {
            outcome = scanner.push(c, &mut parts);
            // Once the name is known the call is told, however much of the text is here already.
            let is_named = !*is_told && scanner.name().is_some();
            if outcome != Scan::Open || is_named {
                used = at + c.len_utf8();
                break;
            }
        }
        let is_unknown = *is_bare
            && !*is_told
            && !self.expected.is_forced
            && scanner.name().is_some_and(|name| !self.expected.functions.iter().any(|known| known == name));
        let rest = self.held.split_off(used);
        let read = std::mem::replace(&mut self.held, rest);
        if (outcome == Scan::Broken || is_unknown) && !*is_told {
            deltas.push(Delta::Content(std::mem::take(raw) + &read));
            self.state = State::Text;
            return true;
        }
        let index = self.n_calls;
        deltas.extend(parts.into_iter().map(|part| match part {
            Part::Name(name) => Delta::Call { index, name },
            Part::Arguments(text) => Delta::Arguments { index, text },
        }));
        *is_told |= scanner.name().is_some();
        if !*is_told {
            raw.push_str(&read);
        }
        if outcome == Scan::Open {
            return !self.held.is_empty();
        }
        self.n_calls += 1;
        self.state = State::Between;
        true
    }
}

/// The function in what stands before its arguments.
fn called(before: &str) -> &str {
    if let Some((kind, name)) = before.split_once("<｜tool▁sep｜>") {
        let name = name.trim().trim_end_matches("json").trim_end_matches('`').trim();
        return if name.is_empty() { kind.trim() } else { name };
    }
    // The bracket of a mark that is repeated was passed over as that of a list.
    before.trim_start_matches("TOOL_CALLS]").split('[').next().unwrap_or_default().trim()
}
