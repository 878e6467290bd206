//! gpt-oss: `<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…`.

use super::{
    Delta,
    marks::{Found, take},
};

const MARKS: [&str; 6] = ["<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|call|>"];

#[derive(Debug, Default)]
pub(super) struct Harmony {
    held: String,
    /// What stands before a message: role, channel, recipient.
    header: String,
    body: Body,
    n_calls: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Body {
    /// Still in the header.
    #[default]
    None,
    Content,
    Reasoning,
    Arguments,
}

impl Harmony {
    pub(super) fn is_thinking(&self) -> bool {
        self.body == Body::Reasoning
    }

    pub(super) fn push(&mut self, text: &str) -> Vec<Delta> {
        self.held.push_str(text);
        let mut deltas = Vec::new();
        loop {
            match take(&mut self.held, &MARKS) {
                Found::Text(text) => {
                    deltas.extend(self.text(text));
                    return deltas;
                }
                Found::Mark(text, mark) => {
                    deltas.extend(self.text(text));
                    deltas.extend(self.mark(mark));
                }
            }
        }
    }

    pub(super) fn finish(&mut self) -> Vec<Delta> {
        let held = std::mem::take(&mut self.held);
        // An answer without any mark is told as it is.
        if self.body == Body::None && !self.header.is_empty() {
            let header = std::mem::take(&mut self.header);
            return vec![Delta::Content(header + &held)];
        }
        self.text(held).into_iter().collect()
    }

    fn text(&mut self, text: String) -> Option<Delta> {
        if text.is_empty() {
            return None;
        }
        match self.body {
            Body::None => {
                self.header.push_str(&text);
                None
            }
            Body::Content => Some(Delta::Content(text)),
            Body::Reasoning => Some(Delta::Reasoning(text)),
            Body::Arguments => Some(Delta::Arguments { index: self.n_calls - 1, text }),
        }
    }

    fn mark(&mut self, mark: &str) -> Option<Delta> {
        match mark {
            "<|message|>" => {
                let header = std::mem::take(&mut self.header);
                if let Some((_, recipient)) = header.split_once("to=functions.") {
                    let name = recipient.split([' ', '<']).next().unwrap_or_default().to_owned();
                    self.n_calls += 1;
                    self.body = Body::Arguments;
                    return Some(Delta::Call { index: self.n_calls - 1, name });
                }
                self.body = if header.contains("analysis") { Body::Reasoning } else { Body::Content };
            }
            "<|constrain|>" => self.header.push(' '),
            // A header begins.
            _ => {
                self.body = Body::None;
                if mark != "<|channel|>" {
                    self.header.clear();
                }
            }
        }
        None
    }
}
