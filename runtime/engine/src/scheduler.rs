//! Decides which tokens of which sequences the next step computes.
//!
//! - Every sequence that is past its prompt gets its one token in every step; what the budget leaves goes to prompts,
//!   in equal shares, so a short prompt does not wait behind a long one.
//! - Sequences start in the order they came. When blocks run out, the youngest gives its blocks up and is computed again
//!   later, before all who came after it; so the oldest always moves on, and nobody waits for ever.

use std::collections::VecDeque;

use alcazar_core::{Batch, BlockId, SeqId, Sequence, TokenId};

use crate::{blocks::BlockPool, sampler::Sampler};

/// A sequence, waiting or running.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: SeqId,
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
    /// Tokens whose keys and values are in the cache.
    n_cached: usize,
    blocks: Vec<BlockId>,
    /// Whether it was told that the model works on it.
    is_started: bool,
}

impl Entry {
    pub(crate) const fn new(id: SeqId, prompt: Vec<TokenId>, end: usize, sampler: Sampler) -> Self {
        let n_prompt = prompt.len();
        Self {
            id,
            tokens: prompt,
            n_prompt,
            end,
            sampler,
            to_score: 0,
            n_scored: 1,
            n_cached: 0,
            blocks: Vec::new(),
            is_started: false,
        }
    }

    const fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_cached
    }
}

/// Bounds of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_sequences: usize,
    /// Tokens of one step; at least `max_sequences`.
    pub(crate) step_tokens: usize,
}

/// Queue, running sequences and their blocks.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: Limits,
    pool: BlockPool,
    waiting: VecDeque<Entry>,
    /// Oldest first.
    running: Vec<Entry>,
    n_preemptions: u64,
}

impl Scheduler {
    pub(crate) const fn new(limits: Limits, pool: BlockPool) -> Self {
        Self { limits, pool, waiting: VecDeque::new(), running: Vec::new(), n_preemptions: 0 }
    }

    pub(crate) const fn pool(&self) -> &BlockPool {
        &self.pool
    }

    pub(crate) const fn running(&self) -> &[Entry] {
        self.running.as_slice()
    }

    pub(crate) const fn waiting(&self) -> &VecDeque<Entry> {
        &self.waiting
    }

    pub(crate) const fn n_preemptions(&self) -> u64 {
        self.n_preemptions
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.waiting.push_back(entry);
    }

    pub(crate) fn running_mut(&mut self, id: SeqId) -> Option<&mut Entry> {
        self.running.iter_mut().find(|entry| entry.id == id)
    }

    /// Sequences that were computed for the first time since the last call.
    pub(crate) fn take_started(&mut self) -> impl Iterator<Item = SeqId> {
        let new = self.running.iter_mut().filter(|entry| entry.n_cached > 0 && !entry.is_started);
        new.map(|entry| {
            entry.is_started = true;
            entry.id
        })
    }

    /// Takes a sequence out, wherever it is; its blocks are free again.
    pub(crate) fn remove(&mut self, id: SeqId) -> Option<Entry> {
        let mut entry = match self.running.iter().position(|entry| entry.id == id) {
            Some(at) => self.running.remove(at),
            None => self.waiting.remove(self.waiting.iter().position(|entry| entry.id == id)?)?,
        };
        self.pool.release(&mut entry.blocks);
        Some(entry)
    }

    /// The next step's batch; empty when nothing can run. What it names counts as cached from now on.
    pub(crate) fn plan(&mut self) -> Batch {
        self.admit();
        let mut shares = self.shares();
        self.make_room(&mut shares);
        let mut batch = Batch::default();
        for (entry, share) in self.running.iter_mut().zip(shares) {
            if share == 0 {
                continue;
            }
            let (start, first_row) = (entry.n_cached, batch.tokens.len());
            batch.tokens.extend(entry.tokens.iter().skip(start).take(share));
            batch.sequences.push(Sequence {
                id: entry.id,
                first_row,
                n_tokens: share,
                start,
                blocks: entry.blocks.clone(),
            });
            // The row at a position scores the token after it.
            let scored = start.max(entry.n_scored - 1)..(start + share).min(entry.to_score.saturating_sub(1));
            batch.logit_rows.extend(scored.map(|position| first_row + position - start));
            entry.n_cached += share;
            if entry.n_pending() == 0 {
                batch.logit_rows.push(batch.tokens.len() - 1);
            }
        }
        batch
    }

    /// Starts sequences while there is a place and room for what they have to compute.
    fn admit(&mut self) {
        while self.running.len() < self.limits.max_sequences {
            let Some(next) = self.waiting.front() else { return };
            let n_promised: usize = self.running.iter().map(|entry| self.n_missing(entry)).sum();
            // One block of its own beside the prompt, lest the first token drives it out again.
            let n_wanted = self.pool.shape().blocks_for(next.tokens.len() + 1);
            if self.pool.n_free() < n_promised + n_wanted && !self.running.is_empty() {
                return;
            }
            self.running.extend(self.waiting.pop_front());
        }
    }

    /// Blocks that a sequence needs and does not have yet for the tokens that it has.
    fn n_missing(&self, entry: &Entry) -> usize {
        self.pool.shape().blocks_for(entry.tokens.len()).saturating_sub(entry.blocks.len())
    }

    /// Tokens of each running sequence in this step.
    fn shares(&self) -> Vec<usize> {
        let mut shares: Vec<usize> = self.running.iter().map(|entry| usize::from(entry.n_pending() == 1)).collect();
        let mut left = self.limits.step_tokens.saturating_sub(shares.iter().sum());
        let mut prompts: Vec<(usize, usize)> =
            self.running.iter().map(Entry::n_pending).enumerate().filter(|(_, n_pending)| *n_pending > 1).collect();
        // Shortest first: what it does not need of its share is left to the others.
        prompts.sort_by_key(|(_, n_pending)| *n_pending);
        let n_prompts = prompts.len();
        for (nth, (at, n_pending)) in prompts.into_iter().enumerate() {
            let share = n_pending.min(left / (n_prompts - nth));
            if let Some(slot) = shares.get_mut(at) {
                *slot = share;
            }
            left -= share;
        }
        shares
    }

    /// Gives every share its blocks, the oldest first; the youngest go back to the queue when there are not enough.
    fn make_room(&mut self, shares: &mut Vec<usize>) {
        let mut at = 0;
        while let (Some(entry), Some(share)) = (self.running.get_mut(at), shares.get(at)) {
            let n_tokens = entry.n_cached + share;
            if self.pool.grow(&mut entry.blocks, n_tokens) {
                at += 1;
                continue;
            }
            let Some(mut youngest) = self.running.pop() else { return };
            shares.truncate(self.running.len());
            self.pool.release(&mut youngest.blocks);
            youngest.n_cached = 0;
            self.n_preemptions += 1;
            self.waiting.push_front(youngest);
        }
    }
}
