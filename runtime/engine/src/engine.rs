//! The state machine that the server drives.

use std::collections::BTreeSet;

use alcazar_core::{AdapterId, BackendError, Batch, Model, SeqId};

use crate::{
    Effect, FinishReason, Load, Progress, Refused, Request, Speculation, Usage,
    blocks::BlockPool,
    entry::Entry,
    sampler::Choice,
    scheduler::{Limits, Scheduler},
};

mod forward;

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
    /// How answers are guessed on with what is left of a step; it changes no answer.
    pub speculation: Speculation,
}

/// A model and the sequences that it works on.
pub struct Engine {
    model: Box<dyn Model>,
    config: EngineConfig,
    scheduler: Scheduler,
    next_id: u64,
    prompt_tokens_total: u64,
    generated_tokens_total: u64,
    guessed_right_total: u64,
    last_step_tokens: usize,
    /// Steps in a row in which the model panicked whatever it was given.
    n_panics: u32,
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
        Self {
            model,
            config,
            scheduler,
            next_id: 0,
            prompt_tokens_total: 0,
            generated_tokens_total: 0,
            guessed_right_total: 0,
            last_step_tokens: 0,
            n_panics: 0,
        }
    }

    /// Longest sequence.
    pub const fn context_length(&self) -> usize {
        self.config.context_length
    }

    /// Puts a request into the queue.
    pub fn submit(&mut self, request: Request) -> Result<SeqId, Refused> {
        request.check(self.config.context_length, self.model.vocabulary())?;
        let n_adapters = self.model.n_adapters();
        if let Some(AdapterId(adapter)) = request.adapter.filter(|adapter| adapter.index() >= n_adapters) {
            return Err(Refused::AdapterUnknown { adapter, n_adapters });
        }
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
        self.scheduler.push(Entry::new(id, request, end, seed, self.config.speculation));
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

    /// Adapters of sequences that run, and of those that wait.
    pub fn adapters(&self) -> [BTreeSet<AdapterId>; 2] {
        let running = self.scheduler.running().iter().filter_map(|entry| entry.adapter);
        [running.collect(), self.scheduler.waiting().iter().filter_map(|entry| entry.adapter).collect()]
    }

    /// How busy the engine is.
    pub fn load(&self) -> Load {
        let (pool, counts) = (self.scheduler.pool(), self.scheduler.counts());
        Load {
            waiting: self.scheduler.waiting().len(),
            running: self.scheduler.running().len(),
            blocks_used: pool.n_used(),
            blocks_total: pool.shape().n_blocks,
            block_tokens: pool.shape().block_tokens,
            preemptions_total: counts.preemptions,
            cache_sought_total: counts.sought,
            cache_found_total: counts.found,
            prompt_tokens_total: self.prompt_tokens_total,
            generated_tokens_total: self.generated_tokens_total,
            guessed_tokens_total: counts.guessed,
            guessed_right_total: self.guessed_right_total,
            last_step_tokens: self.last_step_tokens,
        }
    }

    /// One pass of the model over as many sequences as fit, and what came of it. Cheap when idle.
    pub fn step(&mut self) -> Vec<Effect> {
        let batch = self.scheduler.plan();
        self.last_step_tokens = batch.tokens.len();
        if batch.tokens.is_empty() {
            return Vec::new();
        }
        self.count_prompt_tokens(&batch);
        let mut effects: Vec<Effect> = self.scheduler.take_started().map(|id| Effect::Started { id }).collect();
        self.forward(&batch, &mut effects);
        self.scheduler.publish();
        effects
    }

    fn count_prompt_tokens(&mut self, batch: &Batch) {
        for sequence in &batch.sequences {
            let n_prompt = self.scheduler.running_mut(sequence.id).map_or(0, |entry| entry.n_prompt);
            let end = (sequence.start + sequence.n_tokens).min(n_prompt);
            self.prompt_tokens_total += end.saturating_sub(sequence.start) as u64;
        }
    }

    /// What one row of scores means to its sequence.
    fn take_row(&mut self, id: SeqId, position: usize, scores: Option<&[f32]>, effects: &mut Vec<Effect>) {
        let Some(entry) = self.scheduler.running_mut(id) else { return };
        let is_prompt = position + 1 < entry.n_prompt;
        // Another token was chosen than this row follows from: it was guessed in vain.
        if !is_prompt && position + 1 != entry.n_cached {
            return;
        }
        let Some(scores) = scores else { return self.fail(id, &not_finite(id), effects) };
        if is_prompt {
            entry.n_scored = position + 2;
            let token = entry.tokens.get(position + 1);
            match token.and_then(|token| entry.sampler.logprobs_of(*token, scores)) {
                Some(logprobs) => effects.push(Effect::Scored { id, logprobs }),
                None => self.fail(id, &not_finite(id), effects),
            }
            return;
        }
        // Nothing but the prompt's scores was asked for.
        if entry.tokens.len() >= entry.end {
            return self.finish(id, FinishReason::Length, effects);
        }
        match entry.sampler.next(scores) {
            Ok(Choice::Stop) => self.finish(id, FinishReason::Stop, effects),
            Ok(Choice::Token { token, logprobs, progress }) => {
                entry.tokens.push(token);
                if entry.guesser.confirms(token) {
                    entry.n_cached += 1;
                    self.guessed_right_total += 1;
                }
                let is_full = entry.tokens.len() >= entry.end;
                self.generated_tokens_total += 1;
                effects.push(Effect::Token { id, token, logprobs });
                if progress == Progress::Complete {
                    self.finish(id, FinishReason::Stop, effects);
                } else if is_full {
                    self.finish(id, FinishReason::Length, effects);
                }
            }
            Err(error) => self.fail(id, &format!("{id}: {error}"), effects),
        }
    }

    fn finish(&mut self, id: SeqId, reason: FinishReason, effects: &mut Vec<Effect>) {
        let Some(entry) = self.scheduler.remove(id) else { return };
        let completion_tokens = entry.tokens.len() - entry.n_prompt;
        let usage = Usage {
            prompt_tokens: entry.n_prompt,
            completion_tokens,
            cached_tokens: entry.n_reused.unwrap_or_default(),
        };
        effects.push(Effect::Finished { id, reason, usage });
    }

    fn fail(&mut self, id: SeqId, error: &str, effects: &mut Vec<Effect>) {
        self.scheduler.discard(id);
        effects.push(Effect::Failed { id, error: error.to_owned() });
    }
}

fn not_finite(id: SeqId) -> String {
    BackendError::NotFinite { row: id.to_string() }.to_string()
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).field("load", &self.load()).finish_non_exhaustive()
    }
}
