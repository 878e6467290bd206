//! Chooses the next token from the model's scores.
//!
//! Chance comes from a counter: the n-th draw of a seed is always the same number. So an answer does not depend on what
//! else is served, and a sequence that was put back and computed again goes on as it would have.

use std::collections::HashMap;

use alcazar_core::TokenId;

use crate::{Constraint, ConstraintError, Progress, Request, Sampling, TokenLogprobs};

mod cuts;

#[cfg(test)]
mod tests;

/// One sequence's way of choosing.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    seed: u64,
    n_drawn: u64,
    /// How often each token is in the answer; kept only when a penalty asks for it.
    counts: HashMap<TokenId, Count>,
    stop_tokens: Vec<TokenId>,
    min_tokens: u64,
    logprobs: Option<usize>,
    constraint: Option<Box<dyn Constraint>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    in_answer: u16,
}

/// What came of a choice.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// One token more.
    Token {
        /// Which.
        token: TokenId,
        /// How likely it was, when that was asked for.
        logprobs: Option<TokenLogprobs>,
        /// Whether the answer is complete with it.
        progress: Progress,
    },
    /// A stop token, which is not part of the answer.
    Stop,
}

/// Why there is no choice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The model is at fault, or its input.
    #[error("the model's scores are not numbers")]
    NotFinite,
    /// The grammar is.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
}

impl Sampler {
    /// `seed` is used when the request brings none.
    pub fn new(request: &mut Request, seed: u64) -> Self {
        let sampling = std::mem::take(&mut request.sampling);
        let mut counts = HashMap::new();
        #[expect(clippy::float_cmp, reason = "exactly 1 switches the penalty off")]
        if sampling.repetition_penalty != 1.0 {
            counts.extend(request.prompt.iter().map(|token| (*token, Count::default())));
        }
        Self {
            seed: sampling.seed.unwrap_or(seed),
            sampling,
            n_drawn: 0,
            counts,
            stop_tokens: std::mem::take(&mut request.stop_tokens),
            min_tokens: request.min_tokens as u64,
            logprobs: request.logprobs,
            constraint: request.constraint.take(),
        }
    }

    /// The next token of the model's scores.
    pub fn next(&mut self, scores: &[f32]) -> Result<Choice, SampleError> {
        let token = if self.changes_scores() {
            let mut changed = scores.to_vec();
            self.change(&mut changed)?;
            self.choose(&changed)
        } else {
            self.choose(scores)
        };
        let token = token.ok_or(SampleError::NotFinite)?;
        self.n_drawn += 1;
        if self.stop_tokens.contains(&token) {
            return Ok(Choice::Stop);
        }
        if self.has_penalties() {
            let count = self.counts.entry(token).or_default();
            count.in_answer = count.in_answer.saturating_add(1);
        }
        let progress = match &mut self.constraint {
            Some(constraint) => constraint.advance(token)?,
            None => Progress::Open,
        };
        Ok(Choice::Token { token, logprobs: self.logprobs_of(token, scores), progress })
    }

    /// How likely a token was, if this sequence asks for it.
    pub(crate) fn logprobs_of(&self, token: TokenId, scores: &[f32]) -> Option<TokenLogprobs> {
        TokenLogprobs::of(token, self.logprobs?, scores)
    }

    fn changes_scores(&self) -> bool {
        self.has_penalties()
            || self.constraint.is_some()
            || !self.sampling.logit_bias.is_empty()
            || self.n_drawn < self.min_tokens
    }

    fn change(&mut self, scores: &mut [f32]) -> Result<(), ConstraintError> {
        if scores.iter().any(|score| score.is_nan()) {
            // A mask could hide it.
            scores.fill(f32::NAN);
            return Ok(());
        }
        for (token, bias) in &self.sampling.logit_bias {
            if let Some(score) = scores.get_mut(token.index()) {
                *score += bias;
            }
        }
        self.penalise(scores);
        if let Some(constraint) = &mut self.constraint {
            let ends: Vec<f32> = self.stop_tokens.iter().filter_map(|end| scores.get(end.index()).copied()).collect();
            constraint.mask(scores)?;
            let may_end = constraint.may_end()?;
            for (end, score) in self.stop_tokens.iter().zip(ends) {
                if let Some(slot) = scores.get_mut(end.index()) {
                    *slot = if may_end { score } else { f32::NEG_INFINITY };
                }
            }
            // With an end that may not come yet, nothing might be left to choose.
            if may_end {
                return Ok(());
            }
        }
        if self.n_drawn < self.min_tokens {
            for end in &self.stop_tokens {
                if let Some(score) = scores.get_mut(end.index()) {
                    *score = f32::NEG_INFINITY;
                }
            }
        }
        Ok(())
    }

    #[expect(clippy::float_cmp, reason = "exactly these values switch the penalties off")]
    fn has_penalties(&self) -> bool {
        let sampling = &self.sampling;
        sampling.repetition_penalty != 1.0 || sampling.frequency_penalty != 0.0 || sampling.presence_penalty != 0.0
    }

    fn penalise(&self, scores: &mut [f32]) {
        let sampling = &self.sampling;
        for (token, count) in &self.counts {
            let Some(score) = scores.get_mut(token.index()) else { continue };
            let penalty = sampling.repetition_penalty;
            *score = if *score > 0.0 { *score / penalty } else { *score * penalty };
            if count.in_answer > 0 {
                *score -= f32::from(count.in_answer) * sampling.frequency_penalty + sampling.presence_penalty;
            }
        }
    }

    fn choose(&self, scores: &[f32]) -> Option<TokenId> {
        let (best, highest) = highest(scores)?;
        if self.sampling.temperature <= 0.0 || self.sampling.top_k == 1 {
            return Some(best);
        }
        let candidates = cuts::candidates(&self.sampling, scores, highest);
        let mut left = self.uniform() * candidates.total;
        for candidate in &candidates.kept {
            left -= f64::from(candidate.weight);
            if left < 0.0 {
                return Some(candidate.token);
            }
        }
        candidates.kept.last().map(|candidate| candidate.token)
    }

    /// The n-th number of this seed, from 0 to below 1 (SplitMix64).
    fn uniform(&self) -> f64 {
        let mut bits = self.seed.wrapping_add((self.n_drawn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let uniform = (bits >> 11) as f64 / (1u64 << 53) as f64;
        uniform
    }
}

/// The first highest score; `None` when there is none, or when one is not a number.
fn highest(scores: &[f32]) -> Option<(TokenId, f32)> {
    let mut best: Option<(TokenId, f32)> = None;
    for (token, score) in (0u32..).zip(scores) {
        if score.is_nan() || *score == f32::INFINITY {
            return None;
        }
        if best.is_none_or(|(_, highest)| *score > highest) {
            best = Some((TokenId(token), *score));
        }
    }
    best.filter(|(_, highest)| highest.is_finite())
}
