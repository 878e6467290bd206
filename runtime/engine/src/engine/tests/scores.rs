//! Probabilities of prompts and answers, whatever the cuts of the prompt.

use super::*;
use crate::TokenLogprobs;

fn told(setup: Setup, asked: Request) -> (Vec<TokenLogprobs>, Vec<TokenLogprobs>, Option<FinishReason>) {
    let (mut engine, _) = engine(setup);
    // Somebody else is served beside it.
    engine.submit(request(&[5; 30], 20, 1)).unwrap();
    let asked = engine.submit(asked).unwrap();
    let (mut prompt, mut answer, mut reason) = (Vec::new(), Vec::new(), None);
    while !engine.is_idle() {
        for effect in engine.step() {
            match effect {
                Effect::Scored { id, logprobs } if id == asked => prompt.push(logprobs),
                Effect::Token { id, logprobs, .. } if id == asked => answer.push(logprobs.unwrap()),
                Effect::Finished { id, reason: why, .. } if id == asked => reason = Some(why),
                _ => {}
            }
        }
    }
    (prompt, answer, reason)
}

#[test]
fn prompts_are_scored_as_answers_are() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let asked = |prompt: &[u32], max_tokens| Request {
        sampling: greedy.clone(),
        stop_tokens: vec![],
        logprobs: Some(2),
        ..request(prompt, max_tokens, 1)
    };
    let (none, answer, _) = told(ROOMY, asked(&[1, 2, 3], 6));
    assert_eq!((none.len(), answer.len()), (0, 6));
    assert!(answer.iter().all(|told| told.top.len() == 2 && told.top[0].0 == told.token), "the likeliest was chosen");
    // The answer as the end of a prompt has the same probabilities, in pieces of any size.
    let whole: Vec<u32> = [1, 2, 3].into_iter().chain(answer.iter().map(|told| told.token.0)).collect();
    for step_tokens in [3, 7, 64] {
        for n_blocks in [16, 200] {
            let request = Request { scores_prompt: true, ..asked(&whole, 0) };
            let (prompt, no_answer, reason) = told(Setup { step_tokens, n_blocks, max_sequences: 2, ..ROOMY }, request);
            assert_eq!((prompt.len(), no_answer.len(), reason), (8, 0, Some(FinishReason::Length)));
            assert_eq!(prompt[2..], answer[..], "{step_tokens} {n_blocks}");
        }
    }
}
