//! The answers of one request, as they come.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use alcazar_engine::Usage;
use tokio::time::{Instant, timeout_at};

use super::{Answer, Piece};

/// All choices of a request: `n` for each of its prompts, in the order of the prompts.
pub(crate) struct Answers {
    choices: Vec<Answer>,
    /// Choices for each prompt.
    n: usize,
    /// Whose turn it is to be asked first.
    first: usize,
    usage: Usage,
    n_open: usize,
    deadline: Instant,
}

impl Answers {
    /// `choices` holds `n` for each prompt, at least one. At the deadline all of them end.
    pub(crate) fn new(choices: Vec<Answer>, n: usize, deadline: Instant) -> Self {
        Self { n_open: choices.len(), choices, n: n.max(1), first: 0, usage: Usage::default(), deadline }
    }

    pub(crate) fn n_choices(&self) -> usize {
        self.choices.len()
    }

    /// What all choices took; a prompt counts once, however many answers it gets.
    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }

    /// The next piece of any choice; `None` after the end of all. Losing the future loses no piece.
    pub(crate) async fn next(&mut self) -> Option<(usize, Piece)> {
        let deadline = self.deadline;
        if let Ok(piece) = timeout_at(deadline, poll_fn(|context| self.poll_next(context))).await {
            return piece;
        }
        // Whoever is dropped ends its sequence.
        self.choices.clear();
        self.n_open = 0;
        Some((0, Piece::Expired))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, Piece)>> {
        let n_choices = self.choices.len();
        for nth in (self.first..n_choices).chain(0..self.first) {
            let Some(answer) = self.choices.get_mut(nth) else { continue };
            if let Poll::Ready(Some(piece)) = answer.poll_next(context) {
                self.first = (nth + 1) % n_choices;
                self.count(nth, &piece);
                return Poll::Ready(Some((nth, piece)));
            }
        }
        if self.n_open == 0 { Poll::Ready(None) } else { Poll::Pending }
    }

    fn count(&mut self, nth: usize, piece: &Piece) {
        match piece {
            Piece::Text(_) | Piece::Expired => {}
            Piece::Failed => self.n_open -= 1,
            Piece::End { usage, .. } => {
                self.n_open -= 1;
                self.usage.completion_tokens += usage.completion_tokens;
                if nth.is_multiple_of(self.n) {
                    self.usage.prompt_tokens += usage.prompt_tokens;
                    self.usage.cached_tokens += usage.cached_tokens;
                }
            }
        }
    }
}
