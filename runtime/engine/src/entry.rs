//! One sequence, from the queue to its end.

use std::sync::Arc;

use alcazar_core::{AdapterId, SeqId, TokenId};

use crate::{Request, Speculation, blocks::Chain, sampler::Sampler, speculation::Guesser};

/// A sequence, waiting or running.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: SeqId,
    /// What it is computed with beside the model.
    pub(crate) adapter: Option<AdapterId>,
    /// Takes turns with others in the queue.
    pub(crate) tenant: Arc<str>,
    /// Prompt and answer.
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) n_prompt: usize,
    /// Length of `tokens` at which the answer ends.
    pub(crate) end: usize,
    pub(crate) sampler: Sampler,
    /// Tokens of the prompt whose probability is still to be told end here, from `n_scored` on; 0: none are.
    pub(crate) to_score: usize,
    /// Tokens of the prompt that are done with; the first has nothing before it to follow from.
    pub(crate) n_scored: usize,
    /// Tokens of the prompt that were in the cache when it began; `None`: it has not yet.
    pub(crate) n_reused: Option<usize>,
    /// It takes nothing from the cache.
    pub(crate) computes_all: bool,
    /// Tokens whose keys and values are in the cache.
    pub(crate) n_cached: usize,
    pub(crate) chain: Chain,
    pub(crate) guesser: Guesser,
    /// It ran before, and gave way.
    pub(crate) is_back: bool,
    /// Whether it was told that the model works on it.
    pub(crate) is_started: bool,
}

impl Entry {
    /// `seed`: of the sampler, when the request brings none. `end`: length at which the sequence ends.
    pub(crate) fn new(id: SeqId, mut request: Request, end: usize, seed: u64, speculation: Speculation) -> Self {
        let sampler = Sampler::new(&mut request, seed);
        let speculation = if request.computes_all { Speculation::OFF } else { speculation };
        let n_prompt = request.prompt.len();
        let root = root(request.adapter, request.cache_salt.as_deref().unwrap_or_default());
        Self {
            id,
            adapter: request.adapter,
            tenant: request.tenant.as_deref().unwrap_or_default().into(),
            tokens: request.prompt,
            n_prompt,
            end,
            sampler,
            to_score: if request.scores_prompt { n_prompt } else { 0 },
            n_scored: 1,
            n_reused: None,
            computes_all: request.computes_all || request.scores_prompt,
            n_cached: 0,
            chain: Chain::new(root),
            guesser: Guesser::new(speculation),
            is_back: false,
            is_started: false,
        }
    }

    pub(crate) const fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_cached
    }

    /// Tokens that can be guessed at once in a step that computes `share` of its tokens: those before the last of the
    /// answer, once all that it has is computed.
    pub(crate) const fn n_guessable(&self, share: usize) -> usize {
        if share == self.n_pending() { self.end.saturating_sub(self.tokens.len() + 1) } else { 0 }
    }

    /// Tokens that it may take from the cache: the last is computed, for the scores that follow it.
    pub(crate) fn reusable(&self) -> &[TokenId] {
        let n = if self.computes_all { 0 } else { self.tokens.len().saturating_sub(1) };
        self.tokens.get(..n).unwrap_or_default()
    }
}

/// What sequences share blocks under. The adapter comes first and ends before the salt begins, so that no salt, which
/// clients choose, looks like another adapter.
fn root(adapter: Option<AdapterId>, salt: &str) -> Arc<str> {
    match adapter {
        None => format!("/{salt}").into(),
        Some(AdapterId(nth)) => format!("{nth}/{salt}").into(),
    }
}
