//! `<think>` … `</think>`.

use super::{
    Delta,
    marks::{Found, take},
};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

#[derive(Debug)]
pub(super) struct Reasoning {
    state: State,
    held: String,
    /// The next text of its kind begins with a line break of the mark before it.
    after_mark: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Nothing but blanks yet.
    Before,
    Thinking,
    Answering,
}

impl Reasoning {
    pub(super) fn new(starts_thinking: bool) -> Self {
        let state = if starts_thinking { State::Thinking } else { State::Before };
        Self { state, held: String::new(), after_mark: starts_thinking }
    }

    pub(super) fn is_thinking(&self) -> bool {
        self.state == State::Thinking
    }

    pub(super) fn push(&mut self, text: &str) -> Vec<Delta> {
        self.held.push_str(text);
        let mut deltas = Vec::new();
        if self.state == State::Before {
            let begun = self.held.trim_start();
            if begun.starts_with(OPEN) {
                self.held = begun.replacen(OPEN, "", 1);
                self.state = State::Thinking;
                self.after_mark = true;
            } else if OPEN.starts_with(begun) {
                return deltas;
            } else {
                self.state = State::Answering;
            }
        }
        if self.state == State::Thinking {
            match take(&mut self.held, &[CLOSE]) {
                Found::Text(text) => deltas.extend(self.trimmed(text).map(Delta::Reasoning)),
                Found::Mark(text, _) => {
                    deltas.extend(self.trimmed(text).map(Delta::Reasoning));
                    self.state = State::Answering;
                    self.after_mark = true;
                }
            }
        }
        if self.state == State::Answering {
            let text = std::mem::take(&mut self.held);
            deltas.extend(self.trimmed(text).map(Delta::Content));
        }
        deltas
    }

    pub(super) fn finish(&mut self) -> Vec<Delta> {
        let held = std::mem::take(&mut self.held);
        let delta = if self.state == State::Thinking { Delta::Reasoning } else { Delta::Content };
        vec![delta(held)]
    }

    /// Line breaks that belong to a mark are not part of the text.
    fn trimmed(&mut self, text: String) -> Option<String> {
        if !self.after_mark {
            return Some(text);
        }
        let rest = text.trim_start_matches('\n');
        self.after_mark = rest.is_empty();
        (!rest.is_empty()).then(|| rest.to_owned())
    }
}
