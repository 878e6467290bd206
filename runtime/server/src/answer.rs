//! One answer: the engine's tokens as pieces of text, up to a stop string.

use std::collections::VecDeque;

use alcazar_core::TokenId;
use alcazar_engine::{FinishReason, Usage};
use alcazar_text::{StopMatcher, StopStep};

use crate::{
    engine_thread::{Event, Generation},
    language::Writer,
};

/// What a reader gets, in order: texts, then one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    End {
        finish_reason: &'static str,
        usage: Usage,
    },
    /// The cause is in the log, not in the answer.
    Failed,
}

/// Dropping it ends the sequence.
pub(crate) struct Answer {
    generation: Generation,
    writer: Box<dyn Writer>,
    stops: StopMatcher,
    usage: Usage,
    ready: VecDeque<Piece>,
    is_over: bool,
}

impl Answer {
    pub(crate) fn new(
        generation: Generation,
        writer: Box<dyn Writer>,
        stops: Vec<String>,
        prompt_tokens: usize,
    ) -> Self {
        Self {
            generation,
            writer,
            stops: StopMatcher::new(stops),
            usage: Usage { prompt_tokens, ..Usage::default() },
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    /// The next piece; `None` after the end. Losing the future loses no piece.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.is_over {
                return None;
            }
            match self.generation.next().await {
                Some(Event::Token(token)) => self.token(token),
                Some(Event::Finished { reason, usage }) => self.finish(reason, usage),
                Some(Event::Failed) | None => self.end(Piece::Failed),
            }
        }
    }

    fn token(&mut self, token: TokenId) {
        self.usage.completion_tokens += 1;
        let text = self.writer.push(token);
        self.write(&text);
    }

    fn finish(&mut self, reason: FinishReason, usage: Usage) {
        let tail = self.writer.finish();
        self.write(&tail);
        if !self.is_over {
            let held_back = self.stops.finish();
            self.text(held_back);
            self.end(Piece::End { finish_reason: reason.as_str(), usage });
        }
    }

    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.stops.push(text) {
            StopStep::Text(text) => self.text(text),
            StopStep::Stopped(text) => {
                self.generation.stop();
                self.text(text);
                self.end(Piece::End { finish_reason: "stop", usage: self.usage });
            }
        }
    }

    fn text(&mut self, text: String) {
        if !text.is_empty() {
            self.ready.push_back(Piece::Text(text));
        }
    }

    fn end(&mut self, piece: Piece) {
        self.is_over = true;
        self.ready.push_back(piece);
    }
}
