//! Guesses save steps and change nothing: not a token, not a probability, not an end.

use super::*;
use crate::{Constraint, ConstraintError, Progress};

/// Even tokens alone, and so many.
#[derive(Clone, Debug)]
struct Even(usize);

impl Constraint for Even {
    fn mask(&mut self, scores: &mut [f32]) -> Result<(), ConstraintError> {
        scores.iter_mut().skip(1).step_by(2).for_each(|score| *score = f32::NEG_INFINITY);
        Ok(())
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        Ok(false)
    }

    fn advance(&mut self, token: TokenId) -> Result<Progress, ConstraintError> {
        assert_eq!(token.0 % 2, 0);
        self.0 -= 1;
        Ok(if self.0 == 0 { Progress::Complete } else { Progress::Open })
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

/// Of the tokens, those that a narrow answer is made of: often said again.
fn narrow(n_tokens: u32) -> Vec<(TokenId, f32)> {
    (0..n_tokens).map(|token| (TokenId(token), 20.0)).collect()
}

fn requests() -> impl Strategy<Value = Request> {
    let prompt = prop::collection::vec(0u32..3, 1..30);
    let sampling = (prop::bool::ANY, 0u64..9, prop::bool::ANY, prop::bool::ANY, 1u32..4);
    let rules = (prop::bool::ANY, 0usize..6, 1usize..25, prop::option::of(0usize..3), prop::bool::weighted(0.2));
    (prompt, sampling, rules).prop_map(|(prompt, sampling, rules)| {
        let (is_greedy, seed, has_penalties, cuts, n_narrow) = sampling;
        let (has_rule, min_tokens, max_tokens, logprobs, scores_prompt) = rules;
        Request {
            sampling: Sampling {
                temperature: if is_greedy { 0.0 } else { 0.8 },
                top_p: if cuts { 0.8 } else { 1.0 },
                seed: Some(seed),
                repetition_penalty: if has_penalties { 1.2 } else { 1.0 },
                frequency_penalty: if has_penalties { 0.3 } else { 0.0 },
                logit_bias: narrow(n_narrow),
                ..Sampling::default()
            },
            min_tokens: min_tokens.min(max_tokens),
            stop_tokens: vec![TokenId(2)],
            logprobs: logprobs.or(scores_prompt.then_some(0)),
            scores_prompt,
            constraint: has_rule.then(|| Box::new(Even(max_tokens)) as Box<dyn Constraint>),
            ..request(&prompt, max_tokens, seed)
        }
    })
}

/// All that is told of each sequence, in its order, and the load in the end.
fn told(setup: Setup, requests: &[Request]) -> (Vec<Vec<Effect>>, crate::Load) {
    let (mut engine, seen) = engine(setup);
    let mut told = vec![Vec::new(); requests.len()];
    for request in requests {
        engine.submit(request.clone()).unwrap();
    }
    while !engine.is_idle() {
        for mut effect in engine.step() {
            let id = match &mut effect {
                Effect::Finished { id, usage, .. } => {
                    // What was cached depends on who came first.
                    usage.cached_tokens = 0;
                    *id
                }
                Effect::Started { id }
                | Effect::Scored { id, .. }
                | Effect::Token { id, .. }
                | Effect::Failed { id, .. } => *id,
            };
            told[usize::try_from(id.0).unwrap()].push(effect);
        }
    }
    assert!(seen.lock().unwrap().most_rows <= setup.step_tokens.max(setup.max_sequences));
    (told, engine.load())
}

const GUESSING: Setup = Setup { speculation: Speculation { max_match: 4, max_tokens: 8 }, ..ROOMY };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_told_is_the_same_with_guesses_and_without(
        requests in prop::collection::vec(requests(), 1..6),
        step_tokens in 1usize..40,
        n_blocks in 15usize..60,
    ) {
        let (expected, load) = told(ROOMY, &requests);
        prop_assert_eq!(load.guessed_tokens_total, 0);
        let (found, load) = told(Setup { n_blocks, step_tokens, ..GUESSING }, &requests);
        prop_assert_eq!(found, expected);
        prop_assert!(load.guessed_right_total <= load.guessed_tokens_total);
    }
}

#[test]
fn what_repeats_itself_takes_fewer_steps() {
    let sampling = Sampling { temperature: 0.0, logit_bias: narrow(1), ..Sampling::default() };
    let repeats = Request { sampling, stop_tokens: vec![], ..request(&[1, 2, 3], 45, 1) };
    let (mut engine, _) = engine(GUESSING);
    engine.submit(repeats).unwrap();
    let n_steps = std::iter::from_fn(|| (!engine.is_idle()).then(|| engine.step())).count();
    let load = engine.load();
    assert_eq!(load.generated_tokens_total, 45);
    // Three tokens to see the repetition, and then nine in each step.
    assert_eq!((n_steps, load.guessed_tokens_total, load.guessed_right_total), (8, 37, 37));
}

#[test]
fn a_busy_step_has_no_room_for_guesses() {
    let busy = Setup { step_tokens: 8, max_sequences: 8, ..GUESSING };
    let sampling = Sampling { temperature: 0.0, logit_bias: narrow(1), ..Sampling::default() };
    let one = Request { sampling, stop_tokens: vec![], ..request(&[1], 20, 1) };
    let (_, load) = told(busy, &vec![one.clone(); 8]);
    assert_eq!(load.guessed_tokens_total, 0);
    let measured = Request { computes_all: true, ..one };
    let (_, load) = told(GUESSING, &[measured]);
    assert_eq!(load.guessed_tokens_total, 0, "nor for who measures");
}

#[test]
fn only_what_was_chosen_is_kept_for_others() {
    let sampling = Sampling { temperature: 1.0, seed: Some(3), logit_bias: narrow(2), ..Sampling::default() };
    let (mut engine, _) = engine(GUESSING);
    let mut prompt = vec![0; 8];
    let mut answers = Answers::new();
    for _ in 0..5 {
        let turn = Request { sampling: sampling.clone(), stop_tokens: vec![], ..request(&prompt, 9, 1) };
        let expected = alone(turn.clone());
        let id = engine.submit(turn).unwrap();
        run(&mut engine, &mut answers);
        assert_eq!(answers[&id], expected);
        prompt.extend(&expected.0);
    }
    let load = engine.load();
    assert!(load.guessed_right_total > 0 && load.guessed_right_total < load.guessed_tokens_total, "{load:?}");
    assert!(load.cache_found_total > 0);
}
