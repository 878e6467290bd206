//! The state machine that the server drives.

use alcazar_core::{BackendError, Batch, Logits, Model, SeqId, TokenId};

use crate::{
    FinishReason, Refused, Request, Usage,
    blocks::BlockPool,
    sampler::Sampler,
    scheduler::{Entry, Limits, Scheduler},
};

#[cfg(test)]
mod tests;

/// Bounds of an engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Sequences that run together.
    pub max_sequences: usize,
    /// Requests that may wait.
    pub max_queued: usize,
    /// Prompt tokens that may wait.
    pub max_queued_tokens: usize,
    /// Tokens of one step: more computes prompts faster, fewer lets those who already get their answer wait less.
    pub step_tokens: usize,
    /// Longest sequence; the cache may bound it further.
    pub context_length: usize,
    /// Seed of the sequences that bring none.
    pub seed: u64,
}

/// What happened to a sequence in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It has one token more.
    Token {
        /// Which sequence.
        id: SeqId,
        /// The token; never a stop token.
        token: TokenId,
    },
    /// It ended; nothing follows.
    Finished {
        /// Which sequence.
        id: SeqId,
        /// Why.
        reason: FinishReason,
        /// What it took.
        usage: Usage,
    },
    /// It cannot go on; nothing follows. The others do.
    Failed {
        /// Which sequence.
        id: SeqId,
        /// For the log; no prompt in it.
        error: String,
    },
}

/// How busy an engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Sequences that wait.
    pub waiting: usize,
    /// Sequences that run.
    pub running: usize,
    /// Cache blocks that are taken.
    pub blocks_used: usize,
    /// Cache blocks in all.
    pub blocks_total: usize,
    /// Tokens of a block.
    pub block_tokens: usize,
    /// Sequences that gave their blocks up to older ones, since the start.
    pub preemptions_total: u64,
    /// Tokens of prompts that were computed, since the start.
    pub prompt_tokens_total: u64,
    /// Tokens of answers, since the start.
    pub generated_tokens_total: u64,
}

/// A model and the sequences that it works on.
pub struct Engine {
    model: Box<dyn Model>,
    config: EngineConfig,
    scheduler: Scheduler,
    next_id: u64,
    prompt_tokens_total: u64,
    generated_tokens_total: u64,
}

impl Engine {
    /// Bounds that contradict each other are narrowed: a context fits the cache, a step has a token for everybody.
    pub fn new(model: Box<dyn Model>, config: EngineConfig) -> Self {
        let shape = model.cache_shape();
        let max_sequences = config.max_sequences.max(1);
        let config = EngineConfig {
            max_sequences,
            step_tokens: config.step_tokens.max(max_sequences),
            context_length: config.context_length.min(shape.n_tokens()),
            ..config
        };
        let limits = Limits { max_sequences, step_tokens: config.step_tokens };
        let scheduler = Scheduler::new(limits, BlockPool::new(shape));
        Self { model, config, scheduler, next_id: 0, prompt_tokens_total: 0, generated_tokens_total: 0 }
    }

    /// Longest sequence.
    pub const fn context_length(&self) -> usize {
        self.config.context_length
    }

    /// Puts a request into the queue.
    pub fn submit(&mut self, request: Request) -> Result<SeqId, Refused> {
        request.check(self.config.context_length, self.model.vocabulary())?;
        let (waiting, limit) = (self.scheduler.waiting().len(), self.config.max_queued);
        if waiting >= limit {
            return Err(Refused::QueueFull { waiting, limit });
        }
        let queued: usize = self.scheduler.waiting().iter().map(|entry| entry.tokens.len()).sum();
        let (tokens, limit) = (queued + request.prompt.len(), self.config.max_queued_tokens);
        // A single long prompt may wait alone, or it could never be served.
        if tokens > limit && waiting > 0 {
            return Err(Refused::QueueTokensFull { tokens, limit });
        }
        let id = SeqId(self.next_id);
        self.next_id += 1;
        let n_prompt = request.prompt.len();
        let end = request.max_tokens.map_or(self.config.context_length, |max_tokens| n_prompt + max_tokens);
        let seed = self.config.seed.wrapping_add(id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let sampler = Sampler::new(request.sampling, seed, &request.prompt);
        self.scheduler.push(Entry::new(id, request.prompt, end, request.stop_tokens, sampler));
        Ok(id)
    }

    /// Forgets a sequence at once; no effect of it follows. `false`: it had ended.
    pub fn cancel(&mut self, id: SeqId) -> bool {
        self.scheduler.remove(id).is_some()
    }

    /// Nothing waits, nothing runs: the next step would do nothing.
    pub fn is_idle(&self) -> bool {
        self.scheduler.running().is_empty() && self.scheduler.waiting().is_empty()
    }

    /// How busy the engine is.
    pub fn load(&self) -> Load {
        let pool = self.scheduler.pool();
        Load {
            waiting: self.scheduler.waiting().len(),
            running: self.scheduler.running().len(),
            blocks_used: pool.n_used(),
            blocks_total: pool.shape().n_blocks,
            block_tokens: pool.shape().block_tokens,
            preemptions_total: self.scheduler.n_preemptions(),
            prompt_tokens_total: self.prompt_tokens_total,
            generated_tokens_total: self.generated_tokens_total,
        }
    }

    /// One pass of the model over as many sequences as fit, and what came of it. Cheap when idle.
    pub fn step(&mut self) -> Vec<Effect> {
        let batch = self.scheduler.plan();
        if batch.tokens.is_empty() {
            return Vec::new();
        }
        self.count_prompt_tokens(&batch);
        match self.model.forward(&batch) {
            Ok(logits) => self.sample(&batch, &logits),
            Err(error) => self.fail_all(&batch, &error),
        }
    }

    fn count_prompt_tokens(&mut self, batch: &Batch) {
        for sequence in &batch.sequences {
            let n_prompt = self.scheduler.running_mut(sequence.id).map_or(0, |entry| entry.n_prompt);
            let end = (sequence.start + sequence.n_tokens).min(n_prompt);
            self.prompt_tokens_total += end.saturating_sub(sequence.start) as u64;
        }
    }

    fn sample(&mut self, batch: &Batch, logits: &Logits) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (nth, row) in batch.logit_rows.iter().enumerate() {
            let owner = batch.sequences.iter().find(|sequence| sequence.first_row + sequence.n_tokens == row + 1);
            let Some(id) = owner.map(|sequence| sequence.id) else { continue };
            let Some(entry) = self.scheduler.running_mut(id) else { continue };
            let Some(token) = logits.row(nth).and_then(|scores| entry.sampler.next(scores)) else {
                let error = BackendError::NotFinite { row: id.to_string() }.to_string();
                self.scheduler.remove(id);
                effects.push(Effect::Failed { id, error });
                continue;
            };
            let reason = if entry.stop_tokens.contains(&token) {
                Some(FinishReason::Stop)
            } else {
                entry.tokens.push(token);
                self.generated_tokens_total += 1;
                effects.push(Effect::Token { id, token });
                (entry.tokens.len() >= entry.end).then_some(FinishReason::Length)
            };
            if let Some(reason) = reason {
                let completion_tokens = entry.tokens.len() - entry.n_prompt;
                let usage = Usage { prompt_tokens: entry.n_prompt, completion_tokens, cached_tokens: 0 };
                self.scheduler.remove(id);
                effects.push(Effect::Finished { id, reason, usage });
            }
        }
        effects
    }

    /// A pass that failed as a whole says nothing about who is at fault, so all of its sequences end; the queue goes on.
    fn fail_all(&mut self, batch: &Batch, error: &BackendError) -> Vec<Effect> {
        tracing::error!(error = %error, n_sequences = batch.sequences.len(), "a step failed");
        let error = error.to_string();
        let ids = batch.sequences.iter().map(|sequence| sequence.id);
        ids.map(|id| {
            self.scheduler.remove(id);
            Effect::Failed { id, error: error.clone() }
        })
        .collect()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).field("load", &self.load()).finish_non_exhaustive()
    }
}
