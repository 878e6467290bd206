//! How likely tokens were, as the model has it: before penalties, temperature and masks.

use alcazar_core::TokenId;

/// A token's natural logarithm of probability, and those of the likeliest tokens in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// The token itself.
    pub token: TokenId,
    /// Its own.
    pub logprob: f32,
    /// The likeliest, in falling order; as many as were asked for.
    pub top: Vec<(TokenId, f32)>,
}

impl TokenLogprobs {
    /// `None` when the scores are not numbers, or the token has none.
    pub fn of(token: TokenId, n_top: usize, scores: &[f32]) -> Option<Self> {
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !highest.is_finite() || scores.iter().any(|score| score.is_nan()) {
            return None;
        }
        let total: f64 = scores.iter().map(|score| f64::from(score - highest).exp()).sum();
        #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a count of tokens is small")]
        let norm = highest + total.ln() as f32;
        let logprob = scores.get(token.index())? - norm;
        let mut top: Vec<(TokenId, f32)> = (0u32..).map(TokenId).zip(scores.iter().map(|score| score - norm)).collect();
        let falling = |a: &(TokenId, f32), b: &(TokenId, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if n_top < top.len() {
            top.select_nth_unstable_by(n_top, falling);
            top.truncate(n_top);
        }
        top.sort_unstable_by(falling);
        Some(Self { token, logprob, top })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_scores() {
        // 0.5, 0.25, 0.125, 0.125
        let scores = [8f32, 4.0, 2.0, 2.0].map(|weight| weight.ln() + 5.0);
        let told = TokenLogprobs::of(TokenId(2), 3, &scores).unwrap();
        let rounded = |logprob: f32| (logprob.exp() * 1000.0).round();
        assert!((rounded(told.logprob) - 125.0).abs() < f32::EPSILON);
        let top: Vec<_> = told.top.iter().map(|(token, logprob)| (token.0, rounded(*logprob))).collect();
        assert_eq!(top, [(0, 500.0), (1, 250.0), (2, 125.0)], "of equals the lower number");
        assert_eq!(TokenLogprobs::of(TokenId(0), 0, &scores).unwrap().top, []);
        assert_eq!(TokenLogprobs::of(TokenId(0), 99, &scores).unwrap().top.len(), 4);
        assert_eq!(TokenLogprobs::of(TokenId(0), 1, &[f32::NAN, 1.0]), None);
        assert_eq!(TokenLogprobs::of(TokenId(9), 1, &scores), None);
    }
}
