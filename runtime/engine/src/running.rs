//! A sequence between its admission and its end.

use alcazar_core::{BlockId, SeqId, TokenId};

use crate::{FinishReason, Request, Usage, sampler::Sampler};

/// What the engine knows of a sequence.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) id: SeqId,
    /// Prompt and answer so far.
    pub(crate) tokens: Vec<TokenId>,
    /// How many of `tokens` have their keys and values in the cache.
    pub(crate) n_cached: usize,
    /// Blocks that hold them.
    pub(crate) blocks: Vec<BlockId>,
    n_prompt: usize,
    max_tokens: usize,
    stop_tokens: Vec<TokenId>,
    sampler: Sampler,
}

/// What the scores led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The sequence goes on with it.
    Token(TokenId),
    /// The model ended the sequence.
    Stop,
    /// No score is a number.
    NotFinite,
}

impl Running {
    /// Takes a checked request; `entropy` is the seed of one that names none.
    pub(crate) fn new(id: SeqId, request: Request, context_length: usize, entropy: u64) -> Self {
        let room = context_length - request.prompt.len();
        Self {
            id,
            n_cached: 0,
            blocks: Vec::new(),
            n_prompt: request.prompt.len(),
            max_tokens: request.max_tokens.map_or(room, |asked| asked.min(room)),
            stop_tokens: request.stop_tokens,
            sampler: Sampler::new(request.sampling, &request.prompt, entropy),
            tokens: request.prompt,
        }
    }

    /// Tokens that are not in the cache yet: the prompt's rest, or the one token decoded last.
    pub(crate) const fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_cached
    }

    /// Chooses the next token.
    pub(crate) fn choose(&mut self, scores: &[f32]) -> Choice {
        match self.sampler.choose(scores) {
            None => Choice::NotFinite,
            Some(token) if self.stop_tokens.contains(&token) => Choice::Stop,
            Some(token) => {
                self.tokens.push(token);
                Choice::Token(token)
            }
        }
    }

    /// Why it is complete after a token that was no stop token, if it is.
    pub(crate) const fn finished(&self) -> Option<FinishReason> {
        if self.n_generated() >= self.max_tokens { Some(FinishReason::Length) } else { None }
    }

    const fn n_generated(&self) -> usize {
        self.tokens.len() - self.n_prompt
    }

    pub(crate) const fn usage(&self) -> Usage {
        Usage { prompt_tokens: self.n_prompt, completion_tokens: self.n_generated(), cached_tokens: 0 }
    }
}
