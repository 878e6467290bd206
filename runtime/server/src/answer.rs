//! One answer: the engine's tokens as pieces of text, up to a stop string.

use std::{
    collections::VecDeque,
    task::{Context, Poll, ready},
};

use alcazar_core::TokenId;
use alcazar_engine::{FinishReason, TokenLogprobs, Usage};
use alcazar_text::{StopMatcher, StopStep};

use crate::{
    engine_thread::{Event, Generation},
    language::Writer,
};

mod several;

pub(crate) use several::Answers;

/// What a reader gets, in order: texts, then one end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Text(Text),
    End {
        finish_reason: &'static str,
        usage: Usage,
    },
    /// The cause is in the log, not in the answer.
    Failed,
    /// It took longer than a request may.
    Expired,
}

/// Text that is certain, and the tokens that begin in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    pub text: String,
    pub tokens: Vec<Told>,
}

/// A token as it is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub token: TokenId,
    /// `None`: the first of a prompt, which follows from nothing.
    pub logprobs: Option<TokenLogprobs>,
}

/// How an answer is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telling {
    pub stops: Vec<String>,
    /// Stop strings are not looked for in so many of the first tokens.
    pub min_tokens: usize,
    pub with_logprobs: bool,
    /// What the answer begins with: its prompt.
    pub echo: Option<Echo>,
}

/// A prompt that is told before its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo {
    pub text: String,
    pub tokens: Vec<TokenId>,
}

/// Dropping it ends the sequence.
pub(crate) struct Answer {
    generation: Generation,
    writer: Box<dyn Writer>,
    telling: Telling,
    stops: StopMatcher,
    usage: Usage,
    /// Tokens whose text is held back, and where in the whole text each begins.
    held: VecDeque<(usize, Told)>,
    /// Bytes of text that were written, and of it that were given out.
    written: usize,
    given: usize,
    ready: VecDeque<Piece>,
    is_over: bool,
}

impl Answer {
    pub(crate) fn new(
        generation: Generation,
        writer: Box<dyn Writer>,
        mut telling: Telling,
        prompt_tokens: usize,
    ) -> Self {
        let mut this = Self {
            generation,
            writer,
            stops: StopMatcher::new(std::mem::take(&mut telling.stops)),
            telling,
            usage: Usage { prompt_tokens, ..Usage::default() },
            held: VecDeque::new(),
            written: 0,
            given: 0,
            ready: VecDeque::new(),
            is_over: false,
        };
        this.tell_prompt();
        this
    }

    /// The next piece; `None` after the end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(piece));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            match ready!(self.generation.poll_next(context)) {
                Some(Event::Scored(logprobs)) => self.scored(logprobs),
                Some(Event::Token { token, logprobs }) => self.token(token, logprobs),
                Some(Event::Finished { reason, usage }) => self.finish(reason, usage),
                Some(Event::Failed) | None => self.end(Piece::Failed),
            }
        }
    }

    /// Tells the prompt as soon as all of its probabilities are there; at once where none are asked for.
    fn tell_prompt(&mut self) {
        let Some(echo) = &mut self.telling.echo else { return };
        if self.telling.with_logprobs {
            if self.held.is_empty() {
                let first = echo.tokens.first().map(|token| Told { token: *token, logprobs: None });
                self.held.extend(first.map(|first| (0, first)));
            }
            if self.held.len() < echo.tokens.len() {
                return;
            }
        }
        let tokens = self.held.drain(..).map(|(_, told)| told).collect();
        self.ready.push_back(Piece::Text(Text { text: std::mem::take(&mut echo.text), tokens }));
        self.telling.echo = None;
    }

    fn scored(&mut self, logprobs: TokenLogprobs) {
        if self.telling.with_logprobs && self.telling.echo.is_some() {
            self.held.push_back((0, Told { token: logprobs.token, logprobs: Some(logprobs) }));
            self.tell_prompt();
        }
    }

    fn token(&mut self, token: TokenId, logprobs: Option<TokenLogprobs>) {
        self.usage.completion_tokens += 1;
        self.held.push_back((self.written, Told { token, logprobs }));
        let text = self.writer.push(token);
        self.write(&text);
    }

    fn finish(&mut self, reason: FinishReason, usage: Usage) {
        let tail = self.writer.finish();
        self.write(&tail);
        if !self.is_over {
            let held_back = self.stops.finish();
            self.text(held_back);
            let tokens: Vec<Told> = self.held.drain(..).map(|(_, told)| told).collect();
            if self.telling.with_logprobs && !tokens.is_empty() {
                self.ready.push_back(Piece::Text(Text { text: String::new(), tokens }));
            }
            self.end(Piece::End { finish_reason: reason.as_str(), usage });
        }
    }

    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.written += text.len();
        if self.usage.completion_tokens <= self.telling.min_tokens {
            return self.text(text.to_owned());
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
        if text.is_empty() {
            return;
        }
        self.given += text.len();
        let n_begun = self.held.iter().take_while(|(at, _)| *at < self.given).count();
        let tokens = self.held.drain(..n_begun).map(|(_, told)| told).collect();
        self.ready.push_back(Piece::Text(Text { text, tokens }));
    }

    fn end(&mut self, piece: Piece) {
        self.is_over = true;
        self.ready.push_back(piece);
    }
}
