//! Drawing from the scores: temperature, then top-k, top-p and min-p, then one random number decides.

use alcazar_core::TokenId;

use crate::Sampling;

/// A token that may be drawn, with its weight: `exp((score − best) / temperature)`, so the best one has 1.
type Candidate = (u32, f32);

/// Draws with `random` from [0, 1); `None` when no score is a number. The sampling's temperature is above 0.
pub(crate) fn draw(scores: &[f32], sampling: &Sampling, random: f64) -> Option<TokenId> {
    let best = scores.iter().copied().filter(|score| !score.is_nan()).fold(f32::NEG_INFINITY, f32::max);
    if !best.is_finite() {
        return None;
    }
    let mut candidates: Vec<Candidate> = (0_u32..)
        .zip(scores)
        .map(|(token, score)| (token, ((score - best) / sampling.temperature).exp()))
        .filter(|(_, weight)| *weight > 0.0 && *weight >= sampling.min_p)
        .collect();
    keep_top_k(&mut candidates, sampling.top_k);
    keep_top_p(&mut candidates, sampling.top_p);
    Some(TokenId(pick(&candidates, random)))
}

fn heavier_first(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

fn keep_top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k > 0 && k < candidates.len() {
        candidates.select_nth_unstable_by(k - 1, heavier_first);
        candidates.truncate(k);
    }
}

/// Keeps the heaviest that together reach the share `p` (Holtzman et al., 2020).
fn keep_top_p(candidates: &mut Vec<Candidate>, p: f32) {
    if p >= 1.0 {
        return;
    }
    let total = total(candidates);
    // Candidates below this weight have less than 1 - p together, so the nucleus is among the others:
    // sorting those few instead of a whole vocabulary is what makes this cheap.
    #[expect(clippy::cast_precision_loss, reason = "a vocabulary is far below 2^53")]
    let negligible = (1.0 - f64::from(p)) * total / candidates.len() as f64;
    candidates.retain(|(_, weight)| f64::from(*weight) >= negligible);
    candidates.sort_unstable_by(heavier_first);
    let mut share = 0.0;
    let reached = candidates.iter().position(|(_, weight)| {
        share += f64::from(*weight) / total;
        share >= f64::from(p)
    });
    if let Some(last) = reached {
        candidates.truncate(last + 1);
    }
}

fn total(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|(_, weight)| f64::from(*weight)).sum()
}

/// The candidate at `random` of the summed weights; there is at least one, the best.
fn pick(candidates: &[Candidate], random: f64) -> u32 {
    let mut left = random * total(candidates);
    for (token, weight) in candidates {
        left -= f64::from(*weight);
        if left < 0.0 {
            return *token;
        }
    }
    candidates.last().map_or(0, |(token, _)| *token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(scores: &[f32], sampling: &Sampling) -> Vec<u32> {
        let mut drawn: Vec<u32> = (0..1000).map(|i| draw(scores, sampling, f64::from(i) / 1000.0).unwrap().0).collect();
        drawn.sort_unstable();
        drawn.dedup();
        drawn
    }

    #[test]
    fn each_limit_keeps_what_its_definition_says() {
        // Probabilities 0.5, 0.25, 0.15, 0.10.
        let scores = [0.5_f32.ln(), 0.25_f32.ln(), 0.15_f32.ln(), 0.1_f32.ln()];
        let all = Sampling::default();
        assert_eq!(tokens(&scores, &all), [0, 1, 2, 3]);
        assert_eq!(tokens(&scores, &Sampling { top_k: 2, ..all.clone() }), [0, 1]);
        assert_eq!(tokens(&scores, &Sampling { top_p: 0.7, ..all.clone() }), [0, 1]);
        assert_eq!(tokens(&scores, &Sampling { top_p: 0.8, ..all.clone() }), [0, 1, 2]);
        assert_eq!(tokens(&scores, &Sampling { top_p: 1e-6, ..all.clone() }), [0]);
        assert_eq!(tokens(&scores, &Sampling { min_p: 0.4, ..all.clone() }), [0, 1]);
        assert_eq!(draw(&[f32::NAN; 3], &all, 0.5), None);
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let scores = [0.7_f32.ln(), 0.3_f32.ln()];
        let n_first =
            (0..1000).filter(|i| draw(&scores, &Sampling::default(), f64::from(*i) / 1000.0) == Some(TokenId(0)));
        assert!((698..=702).contains(&n_first.count()));
    }

    proptest! {
        /// The shortcut before the sort changes nothing: the nucleus is what sorting everything gives.
        #[test]
        fn the_nucleus_is_that_of_the_definition(scores in prop::collection::vec(-8.0_f32..8.0, 1..200), p in 0.01_f32..0.999) {
            let mut fast: Vec<Candidate> = (0..).zip(&scores).map(|(token, score)| (token, score.exp())).collect();
            let mut slow = fast.clone();
            keep_top_p(&mut fast, p);
            slow.sort_unstable_by(heavier_first);
            let total = total(&slow);
            let mut share = 0.0;
            let n_kept = slow.iter().position(|(_, weight)| { share += f64::from(*weight) / total; share >= f64::from(p) });
            slow.truncate(n_kept.map_or(slow.len(), |last| last + 1));
            prop_assert_eq!(fast, slow);
        }
    }
}
