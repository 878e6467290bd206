//! Each parameter does what it says, and chance is reproducible.

use std::collections::BTreeSet;

use alcazar_core::TokenId;
use proptest::prelude::*;

use super::{Choice, SampleError, Sampler};
use crate::{Constraint, ConstraintError, Progress, Request, Sampling};

fn sampler(mut request: Request) -> Sampler {
    Sampler::new(&mut request, 1)
}

fn next(sampler: &mut Sampler, scores: &[f32]) -> u32 {
    match sampler.next(scores).unwrap() {
        Choice::Token { token, .. } => token.0,
        Choice::Stop => panic!("stopped"),
    }
}

fn draws(sampling: &Sampling, scores: &[f32], n: usize) -> Vec<u32> {
    let mut sampler = sampler(Request { sampling: sampling.clone(), ..Request::default() });
    (0..n).map(|_| next(&mut sampler, scores)).collect()
}

fn drawn(sampling: &Sampling, scores: &[f32]) -> BTreeSet<u32> {
    draws(sampling, scores, 2000).into_iter().collect()
}

#[test]
fn temperature_zero_is_the_first_highest() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    assert_eq!(draws(&greedy, &[1.0, 3.0, 3.0, 2.0], 3), [1, 1, 1]);
}

#[test]
fn the_cuts_leave_what_they_say() {
    // Probabilities 0.5, 0.25, 0.125, 0.125.
    let scores = [8f32, 4.0, 2.0, 2.0].map(f32::ln);
    assert_eq!(drawn(&Sampling::default(), &scores), BTreeSet::from([0, 1, 2, 3]));
    assert_eq!(drawn(&Sampling { top_k: 2, ..Sampling::default() }, &scores), BTreeSet::from([0, 1]));
    assert_eq!(drawn(&Sampling { top_p: 0.7, ..Sampling::default() }, &scores), BTreeSet::from([0, 1]));
    assert_eq!(drawn(&Sampling { top_p: 0.01, ..Sampling::default() }, &scores), BTreeSet::from([0]));
    assert_eq!(drawn(&Sampling { min_p: 0.3, ..Sampling::default() }, &scores), BTreeSet::from([0, 1]));
}

#[test]
fn draws_follow_the_probabilities_and_the_temperature() {
    let scores = [3f32, 1.0].map(f32::ln);
    let share = |temperature: f32| {
        let drawn = draws(&Sampling { temperature, ..Sampling::default() }, &scores, 20_000);
        f64::from(u32::try_from(drawn.iter().filter(|token| **token == 0).count()).unwrap()) / 20_000.0
    };
    assert!((share(1.0) - 0.75).abs() < 0.01);
    assert!((share(0.5) - 0.9).abs() < 0.01);
}

#[test]
fn penalties_reach_what_they_should() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let frequency = Sampling { frequency_penalty: 1.0, ..greedy.clone() };
    assert_eq!(draws(&frequency, &[2.0, 1.5, -9.0], 4), [0, 1, 0, 1]);
    let presence = Sampling { presence_penalty: 1.0, ..greedy.clone() };
    assert_eq!(draws(&presence, &[2.0, 1.5, -9.0], 4), [0, 1, 0, 0]);
    let sampling = Sampling { repetition_penalty: 2.0, ..greedy };
    let mut repetition = sampler(Request { sampling, prompt: vec![TokenId(0)], ..Request::default() });
    assert_eq!(next(&mut repetition, &[2.0, 1.5, -9.0]), 1, "the prompt counts");
}

#[test]
fn a_bias_bans_and_prefers() {
    let scores = [3.0, 2.0, 1.0];
    let biased = |bias: &[(u32, f32)]| {
        let logit_bias = bias.iter().map(|(token, bias)| (TokenId(*token), *bias)).collect();
        drawn(&Sampling { logit_bias, ..Sampling::default() }, &scores)
    };
    assert_eq!(biased(&[(0, -100.0), (1, -100.0)]), BTreeSet::from([2]));
    assert_eq!(biased(&[(2, 100.0)]), BTreeSet::from([2]));
}

#[test]
fn typical_leaves_out_what_surprises_too_little_or_too_much() {
    // Probabilities 0.4, then six of 0.1: the expected surprise is that of 0.1 more than that of 0.4.
    let scores = [4f32, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0].map(f32::ln);
    let typical = drawn(&Sampling { typical_p: 0.55, ..Sampling::default() }, &scores);
    assert_eq!(typical, BTreeSet::from([1, 2, 3, 4, 5, 6]));
    assert_eq!(drawn(&Sampling { typical_p: 1.0, ..Sampling::default() }, &scores).len(), 7);
}

#[test]
fn a_stop_token_ends_and_is_not_chosen_too_early() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let request = Request { sampling: greedy, stop_tokens: vec![TokenId(0), TokenId(99)], ..Request::default() };
    assert_eq!(sampler(request.clone()).next(&[2.0, 1.0]).unwrap(), Choice::Stop);
    let mut patient = sampler(Request { min_tokens: 2, ..request });
    assert_eq!((next(&mut patient, &[2.0, 1.0]), next(&mut patient, &[2.0, 1.0])), (1, 1));
    assert_eq!(patient.next(&[2.0, 1.0]).unwrap(), Choice::Stop);
}

/// Allows one list of tokens, then the end.
#[derive(Clone, Debug)]
struct Only(Vec<u32>);

impl Constraint for Only {
    fn mask(&mut self, scores: &mut [f32]) -> Result<(), ConstraintError> {
        let allowed = self.0.first().copied().ok_or_else(|| ConstraintError { message: "over".to_owned() })?;
        let banned = (0u32..).zip(scores).filter(|(token, _)| *token != allowed);
        banned.for_each(|(_, score)| *score = f32::NEG_INFINITY);
        Ok(())
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        Ok(self.0.len() == 1)
    }

    fn advance(&mut self, _: TokenId) -> Result<Progress, ConstraintError> {
        self.0.remove(0);
        Ok(if self.0.is_empty() { Progress::Complete } else { Progress::Open })
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

#[test]
fn a_constraint_decides_over_tokens_and_the_end() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let request = |stop| Request {
        sampling: greedy.clone(),
        stop_tokens: vec![TokenId(stop)],
        constraint: Some(Box::new(Only(vec![2, 1]))),
        min_tokens: 2,
        ..Request::default()
    };
    let scores = [3.0, 2.0, 1.0, 0.0];
    let mut constrained = sampler(request(3));
    assert_eq!(next(&mut constrained, &scores), 2);
    let last = constrained.next(&scores).unwrap();
    assert!(matches!(last, Choice::Token { token: TokenId(1), progress: Progress::Complete, .. }), "{last:?}");
    assert!(matches!(constrained.next(&scores), Err(SampleError::Constraint(_))));
    // Where it may end, the stop token is as likely as it was: also before so many tokens as were wanted.
    let mut ends = sampler(request(0));
    assert_eq!(next(&mut ends, &scores), 2);
    assert_eq!(ends.next(&scores).unwrap(), Choice::Stop);
    assert_eq!(sampler(request(3)).next(&[f32::NAN, 1.0, 1.0, 1.0]), Err(SampleError::NotFinite), "not hidden");
}

#[test]
fn probabilities_are_told_as_the_model_has_them() {
    let sampling = Sampling { temperature: 0.0, logit_bias: vec![(TokenId(1), 100.0)], ..Sampling::default() };
    let mut told = sampler(Request { sampling, logprobs: Some(1), ..Request::default() });
    let Choice::Token { token, logprobs: Some(logprobs), .. } = told.next(&[3f32.ln(), 0.0]).unwrap() else { panic!() };
    assert_eq!((token, logprobs.token, logprobs.top[0].0), (TokenId(1), TokenId(1), TokenId(0)));
    assert!((logprobs.logprob.exp() - 0.25).abs() < 1e-6);
}

#[test]
fn scores_that_are_no_numbers_give_no_token() {
    for scores in [&[1.0, f32::NAN][..], &[f32::INFINITY, 1.0], &[f32::NEG_INFINITY; 2], &[]] {
        assert_eq!(sampler(Request::default()).next(scores), Err(SampleError::NotFinite), "{scores:?}");
    }
    assert_eq!(draws(&Sampling::default(), &[f32::NEG_INFINITY, 0.0], 3), [1, 1, 1], "a banned token is fine");
}

#[test]
fn a_seed_is_an_answer_and_another_seed_another() {
    let scores: Vec<f32> = (0..1000u16).map(|n| f32::from(n % 7)).collect();
    let with = |seed| draws(&Sampling { seed: Some(seed), ..Sampling::default() }, &scores, 50);
    assert_eq!(with(7), with(7));
    assert_ne!(with(7), with(8));
}

proptest! {
    #[test]
    fn the_quick_cut_is_the_slow_one(
        scores in prop::collection::vec(-8f32..8.0, 1..900),
        top_p in 0.01f32..1.0,
        seed in any::<u64>(),
    ) {
        let sampling = Sampling { top_p, seed: Some(seed), ..Sampling::default() };
        let token = TokenId(next(&mut sampler(Request { sampling, ..Request::default() }), &scores));
        // By hand: sorted, the token lies before the point where the sum reaches top_p.
        let weights: Vec<f64> = scores.iter().map(|score| f64::from(*score).exp()).collect();
        let total: f64 = weights.iter().sum();
        let before: f64 = weights.iter().filter(|weight| **weight > weights[token.index()]).sum();
        prop_assert!(before / total <= f64::from(top_p) + 1e-4);
    }
}
