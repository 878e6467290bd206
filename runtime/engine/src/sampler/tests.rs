//! Each parameter does what it says, and chance is reproducible.

use std::collections::BTreeSet;

use alcazar_core::TokenId;
use proptest::prelude::*;

use super::Sampler;
use crate::Sampling;

fn draws(sampling: &Sampling, scores: &[f32], n: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(sampling.clone(), 1, &[]);
    (0..n).map(|_| sampler.next(scores).unwrap().0).collect()
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
    let mut repetition = Sampler::new(Sampling { repetition_penalty: 2.0, ..greedy }, 1, &[TokenId(0)]);
    assert_eq!(repetition.next(&[2.0, 1.5, -9.0]), Some(TokenId(1)), "the prompt counts");
}

#[test]
fn scores_that_are_no_numbers_give_no_token() {
    for scores in [&[1.0, f32::NAN][..], &[f32::INFINITY, 1.0], &[f32::NEG_INFINITY; 2], &[]] {
        assert_eq!(Sampler::new(Sampling::default(), 1, &[]).next(scores), None, "{scores:?}");
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
        let token = Sampler::new(sampling, 0, &[]).next(&scores).unwrap();
        // By hand: sorted, the token lies before the point where the sum reaches top_p.
        let weights: Vec<f64> = scores.iter().map(|score| f64::from(*score).exp()).collect();
        let total: f64 = weights.iter().sum();
        let before: f64 = weights.iter().filter(|weight| **weight > weights[token.index()]).sum();
        prop_assert!(before / total <= f64::from(top_p) + 1e-4);
    }
}
