//! Decides which tokens of which sequences the next step computes.
//!
//! - Every sequence that is past its prompt gets its one token in every step; what the budget leaves goes to prompts,
//!   in equal shares, so a short prompt does not wait behind a long one.
//! - Tenants take turns, and start their sequences in the order they came. When blocks run out, the youngest gives its blocks up and is computed again
//!   later, before all who came after it; so the oldest always moves on, and nobody waits for ever.
//! - A sequence begins with the blocks that are kept of its tokens; what it computes is kept for others in turn.

use alcazar_core::{Batch, SeqId, Sequence};

use crate::{blocks::BlockPool, entry::Entry, queue::Queue};

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
    waiting: Queue,
    /// Oldest first.
    running: Vec<Entry>,
    counts: Counts,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) preemptions: u64,
    /// Tokens of prompts that were looked for in the cache, and those that were found.
    pub(crate) sought: u64,
    pub(crate) found: u64,
    /// Tokens that were guessed.
    pub(crate) guessed: u64,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits, pool: BlockPool) -> Self {
        let counts = Counts { preemptions: 0, sought: 0, found: 0, guessed: 0 };
        Self { limits, pool, waiting: Queue::default(), running: Vec::new(), counts }
    }

    pub(crate) const fn pool(&self) -> &BlockPool {
        &self.pool
    }

    pub(crate) const fn running(&self) -> &[Entry] {
        self.running.as_slice()
    }

    pub(crate) const fn waiting(&self) -> &Queue {
        &self.waiting
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.waiting.push(entry);
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

    /// Takes a sequence out, wherever it is; what it computed is kept for others.
    pub(crate) fn remove(&mut self, id: SeqId) -> Option<Entry> {
        let mut entry = self.take_out(id)?;
        self.keep(&mut entry);
        Some(entry)
    }

    /// Takes a sequence out whose keys and values are not to be trusted.
    pub(crate) fn discard(&mut self, id: SeqId) {
        if let Some(mut entry) = self.take_out(id) {
            self.pool.discard(&mut entry.chain);
        }
    }

    /// What the step computed may be used by all from now on.
    pub(crate) fn publish(&mut self) {
        for entry in &mut self.running {
            let computed = entry.tokens.get(..entry.n_cached).unwrap_or_default();
            self.pool.publish(&mut entry.chain, computed);
        }
    }

    fn take_out(&mut self, id: SeqId) -> Option<Entry> {
        match self.running.iter().position(|entry| entry.id == id) {
            Some(at) => Some(self.running.remove(at)),
            None => self.waiting.remove(id),
        }
    }

    fn keep(&mut self, entry: &mut Entry) {
        let computed = entry.tokens.get(..entry.n_cached).unwrap_or_default();
        self.pool.publish(&mut entry.chain, computed);
        self.pool.release(&mut entry.chain);
        entry.n_cached = 0;
    }

    /// The next step's batch; empty when nothing can run. What it names counts as cached from now on.
    pub(crate) fn plan(&mut self) -> Batch {
        self.admit();
        let followers = self.follow();
        let mut shares = self.shares(&followers);
        self.make_room(&mut shares);
        self.guess(&shares);
        let mut batch = Batch::default();
        for (entry, share) in self.running.iter_mut().zip(shares) {
            if share == 0 {
                continue;
            }
            let guess = entry.guesser.current();
            let (start, first_row) = (entry.n_cached, batch.tokens.len());
            batch.tokens.extend(entry.tokens.iter().skip(start).take(share).chain(guess));
            batch.sequences.push(Sequence {
                id: entry.id,
                first_row,
                n_tokens: share + guess.len(),
                start,
                blocks: entry.chain.blocks().to_vec(),
                adapter: entry.adapter,
            });
            // The row at a position scores the token after it.
            let scored = start.max(entry.n_scored - 1)..(start + share).min(entry.to_score.saturating_sub(1));
            batch.logit_rows.extend(scored.map(|position| first_row + position - start));
            entry.n_cached += share;
            if entry.n_pending() == 0 {
                batch.logit_rows.extend(batch.tokens.len() - 1 - guess.len()..batch.tokens.len());
            }
        }
        batch
    }

    /// What the shares leave of the step goes to guesses; they drive nobody out.
    fn guess(&mut self, shares: &[usize]) {
        let mut left = self.limits.step_tokens.saturating_sub(shares.iter().sum());
        let n_running = self.running.len();
        for (nth, (entry, share)) in self.running.iter_mut().zip(shares).enumerate() {
            let n_guessable = entry.n_guessable(*share).min(left / (n_running - nth));
            let n_guessed = entry.guesser.guess(&entry.tokens, n_guessable).len();
            if self.pool.grow(&mut entry.chain, entry.n_cached + share + n_guessed) {
                left -= n_guessed;
                self.counts.guessed += n_guessed as u64;
            } else {
                entry.guesser.withdraw();
            }
        }
    }

    /// Starts sequences while there is a place and room for what they have to compute.
    fn admit(&mut self) {
        while self.running.len() < self.limits.max_sequences {
            let Some(next) = self.waiting.front() else { return };
            let found = self.pool.find(next.chain.root(), next.reusable());
            let n_promised: usize = self.running.iter().map(|entry| self.n_missing(entry)).sum();
            // One block of its own beside the prompt, lest the first token drives it out again.
            let n_wanted = self.pool.shape().blocks_for(next.tokens.len() + 1) - found.len() + self.pool.n_idle(&found);
            if self.pool.n_free() < n_promised + n_wanted && !self.running.is_empty() {
                return;
            }
            let Some(mut entry) = self.waiting.pop() else { return };
            entry.n_cached = found.len() * self.pool.shape().block_tokens;
            self.count_reuse(&mut entry);
            self.pool.share(&mut entry.chain, found);
            self.running.push(entry);
        }
    }

    /// Whoever has the same to compute as an older one waits for its blocks, and takes them.
    fn follow(&mut self) -> Vec<SeqId> {
        let mut followers = Vec::new();
        let block_tokens = self.pool.shape().block_tokens;
        for at in 0..self.running.len() {
            let (older, rest) = self.running.split_at_mut(at);
            let Some(entry) = rest.first_mut() else { break };
            let n_wanted = entry.n_cached + block_tokens;
            if entry.n_cached != entry.chain.blocks().len() * block_tokens || entry.reusable().len() < n_wanted {
                continue;
            }
            let reusable = entry.tokens.get(..entry.tokens.len() - 1).unwrap_or_default();
            self.pool.extend(&mut entry.chain, reusable);
            let n_found = entry.chain.blocks().len() * block_tokens - entry.n_cached;
            entry.n_cached += n_found;
            if !entry.is_back {
                entry.n_reused = entry.n_reused.map(|n_reused| n_reused + n_found);
                self.counts.found += n_found as u64;
            }
            let next = entry.reusable().get(..entry.n_cached + block_tokens);
            let Some(next) = next else { continue };
            let is_same = |older: &Entry| older.chain.root() == entry.chain.root() && older.tokens.starts_with(next);
            if older.iter().any(|older| older.n_cached < next.len() && is_same(older)) {
                followers.push(entry.id);
            }
        }
        followers
    }

    /// Only the first time: what a sequence finds of itself when it comes back was not spared.
    const fn count_reuse(&mut self, entry: &mut Entry) {
        if entry.n_reused.is_none() {
            entry.n_reused = Some(entry.n_cached);
            self.counts.sought += entry.n_prompt as u64;
            self.counts.found += entry.n_cached as u64;
        }
    }

    /// Blocks that a sequence needs and does not have yet for the tokens that it has.
    fn n_missing(&self, entry: &Entry) -> usize {
        self.pool.shape().blocks_for(entry.tokens.len()).saturating_sub(entry.chain.blocks().len())
    }

    /// Tokens of each running sequence in this step.
    fn shares(&self, followers: &[SeqId]) -> Vec<usize> {
        let mut shares: Vec<usize> = self.running.iter().map(|entry| usize::from(entry.n_pending() == 1)).collect();
        let mut left = self.limits.step_tokens.saturating_sub(shares.iter().sum());
        let mut prompts: Vec<(usize, usize)> =
            self.running.iter().map(Entry::n_pending).enumerate().filter(|(_, n_pending)| *n_pending > 1).collect();
        prompts.retain(|(at, _)| self.running.get(*at).is_some_and(|entry| !followers.contains(&entry.id)));
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
            if self.pool.grow(&mut entry.chain, n_tokens) {
                at += 1;
                continue;
            }
            let Some(mut youngest) = self.running.pop() else { return };
            shares.truncate(self.running.len());
            self.keep(&mut youngest);
            youngest.is_back = true;
            self.counts.preemptions += 1;
            self.waiting.put_back(youngest);
        }
    }
}
