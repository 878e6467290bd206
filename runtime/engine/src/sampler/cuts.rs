//! Leaves the unlikely out: temperature, `min_p`, `top_k`, `top_p`, `typical_p`, in this order.

use alcazar_core::TokenId;

use crate::Sampling;

/// Candidates that are sorted before all are.
const FIRST_SORT: usize = 256;

#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) token: TokenId,
    /// Relative to the likeliest token's, which is 1.
    pub(super) weight: f32,
}

/// What may be drawn, in an order that is always the same.
pub(super) struct Candidates {
    pub(super) kept: Vec<Candidate>,
    /// Sum of their weights.
    pub(super) total: f64,
}

/// `highest` is the highest of the scores.
pub(super) fn candidates(sampling: &Sampling, scores: &[f32], highest: f32) -> Candidates {
    let weight = |score: f32| ((score - highest) / sampling.temperature).exp();
    let mut kept: Vec<Candidate> = (0u32..)
        .zip(scores)
        .map(|(token, score)| Candidate { token: TokenId(token), weight: weight(*score) })
        .filter(|candidate| candidate.weight > 0.0 && candidate.weight >= sampling.min_p)
        .collect();
    if sampling.top_k > 0 && sampling.top_k < kept.len() {
        kept.select_nth_unstable_by(sampling.top_k - 1, likelier);
        kept.truncate(sampling.top_k);
    }
    cut_top_p(sampling.top_p, &mut kept);
    cut_typical(sampling.typical_p, &mut kept);
    if sampling.top_p >= 1.0 {
        kept.sort_unstable_by_key(|candidate| candidate.token);
    }
    Candidates { total: sum(&kept), kept }
}

fn sum(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| f64::from(candidate.weight)).sum()
}

/// Leaves the likeliest that together have `top_p`, in falling order.
fn cut_top_p(top_p: f32, candidates: &mut Vec<Candidate>) {
    if top_p >= 1.0 {
        return;
    }
    let wanted = sum(candidates) * f64::from(top_p);
    if candidates.len() > FIRST_SORT {
        candidates.select_nth_unstable_by(FIRST_SORT, likelier);
        let (first, _) = candidates.split_at_mut(FIRST_SORT);
        if sum(first) >= wanted {
            candidates.truncate(FIRST_SORT);
        }
    }
    candidates.sort_unstable_by(likelier);
    keep(candidates, wanted);
}

/// Leaves those whose surprise is nearest to the expected one and that together have `typical_p`.
fn cut_typical(typical_p: f32, candidates: &mut Vec<Candidate>) {
    if typical_p >= 1.0 {
        return;
    }
    let total = sum(candidates);
    let surprise = |candidate: &Candidate| -(f64::from(candidate.weight) / total).ln();
    let expected: f64 = candidates.iter().map(|c| f64::from(c.weight) / total * surprise(c)).sum();
    let distance = |candidate: &Candidate| (surprise(candidate) - expected).abs();
    candidates.sort_unstable_by(|a, b| distance(a).total_cmp(&distance(b)).then(a.token.cmp(&b.token)));
    keep(candidates, total * f64::from(typical_p));
    candidates.sort_unstable_by(likelier);
}

/// Cuts after the first that brings the sum to `wanted`.
fn keep(candidates: &mut Vec<Candidate>, wanted: f64) {
    let mut total = 0.0;
    let last = candidates.iter().position(|candidate| {
        total += f64::from(candidate.weight);
        total >= wanted
    });
    candidates.truncate(last.map_or(candidates.len(), |last| last + 1));
}

/// Likelier first; of equals the lower number, so that the order is one.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that sorting wants")]
fn likelier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.weight.total_cmp(&a.weight).then(a.token.cmp(&b.token))
}
