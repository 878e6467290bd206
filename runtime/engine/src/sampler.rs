//! Chooses the next token from the model's scores.
//!
//! Chance comes from a counter: the n-th draw of a seed is always the same number. So an answer does not depend on what
//! else is served, and a sequence that was put back and computed again goes on as it would have.

use std::collections::HashMap;

use alcazar_core::TokenId;

use crate::Sampling;

#[cfg(test)]
mod tests;

/// Candidates that are sorted before all are.
const FIRST_SORT: usize = 256;

/// One sequence's way of choosing.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    seed: u64,
    n_drawn: u64,
    /// How often each token is in the answer; kept only when a penalty asks for it.
    counts: HashMap<TokenId, Count>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    in_answer: u16,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: TokenId,
    weight: f32,
}

impl Sampler {
    /// `seed` is used when the request brings none.
    pub fn new(sampling: Sampling, seed: u64, prompt: &[TokenId]) -> Self {
        let mut counts = HashMap::new();
        #[expect(clippy::float_cmp, reason = "exactly 1 switches the penalty off")]
        if sampling.repetition_penalty != 1.0 {
            counts.extend(prompt.iter().map(|token| (*token, Count::default())));
        }
        Self { seed: sampling.seed.unwrap_or(seed), sampling, n_drawn: 0, counts }
    }

    /// The next token; `None` when the scores are not numbers.
    pub fn next(&mut self, scores: &[f32]) -> Option<TokenId> {
        let token = if self.has_penalties() {
            let mut scores = scores.to_vec();
            self.penalise(&mut scores);
            self.choose(&scores)?
        } else {
            self.choose(scores)?
        };
        self.n_drawn += 1;
        if self.has_penalties() {
            let count = self.counts.entry(token).or_default();
            count.in_answer = count.in_answer.saturating_add(1);
        }
        Some(token)
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
        let mut candidates = self.candidates(scores, highest);
        let total = self.cut(&mut candidates);
        let mut left = self.uniform() * total;
        for candidate in &candidates {
            left -= f64::from(candidate.weight);
            if left < 0.0 {
                return Some(candidate.token);
            }
        }
        candidates.last().map(|candidate| candidate.token)
    }

    /// Weights relative to the likeliest token's, which is 1; what `min_p` and `top_k` leave out is gone.
    fn candidates(&self, scores: &[f32], highest: f32) -> Vec<Candidate> {
        let sampling = &self.sampling;
        let weight = |score: f32| ((score - highest) / sampling.temperature).exp();
        let mut candidates: Vec<Candidate> = (0u32..)
            .zip(scores)
            .map(|(token, score)| Candidate { token: TokenId(token), weight: weight(*score) })
            .filter(|candidate| candidate.weight > 0.0 && candidate.weight >= sampling.min_p)
            .collect();
        if sampling.top_k > 0 && sampling.top_k < candidates.len() {
            candidates.select_nth_unstable_by(sampling.top_k - 1, likelier);
            candidates.truncate(sampling.top_k);
        }
        candidates
    }

    /// Leaves the likeliest that together have `top_p`; answers the sum of what is left. The order is then fixed.
    fn cut(&self, candidates: &mut Vec<Candidate>) -> f64 {
        let sum = |candidates: &[Candidate]| candidates.iter().map(|c| f64::from(c.weight)).sum::<f64>();
        if self.sampling.top_p >= 1.0 {
            candidates.sort_unstable_by_key(|candidate| candidate.token);
            return sum(candidates);
        }
        let wanted = sum(candidates) * f64::from(self.sampling.top_p);
        if candidates.len() > FIRST_SORT {
            candidates.select_nth_unstable_by(FIRST_SORT, likelier);
            let (first, _) = candidates.split_at_mut(FIRST_SORT);
            if sum(first) >= wanted {
                candidates.truncate(FIRST_SORT);
            }
        }
        candidates.sort_unstable_by(likelier);
        let mut total = 0.0;
        let n_kept = candidates.iter().position(|candidate| {
            total += f64::from(candidate.weight);
            total >= wanted
        });
        candidates.truncate(n_kept.map_or(candidates.len(), |last| last + 1));
        total
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

/// Likelier first; of equals the lower number, so that the order is one.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that sorting wants")]
fn likelier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.weight.total_cmp(&a.weight).then(a.token.cmp(&b.token))
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
