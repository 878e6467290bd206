//! What was computed once is not computed again, and only for those who may know.

use super::*;
use crate::Usage;

/// The usage of each request, one after the other on the same engine.
fn usages(setup: Setup, requests: Vec<Request>) -> Vec<Usage> {
    let (mut engine, _) = engine(setup);
    let mut usages = Vec::new();
    for request in requests {
        let expected = alone(request.clone());
        engine.submit(request).unwrap();
        let mut answer = Vec::new();
        while !engine.is_idle() {
            for effect in engine.step() {
                match effect {
                    Effect::Token { token, .. } => answer.push(token.0),
                    Effect::Finished { usage, reason, .. } => {
                        assert_eq!((answer.clone(), Some(reason)), expected);
                        usages.push(usage);
                    }
                    Effect::Started { .. } | Effect::Scored { .. } => {}
                    Effect::Failed { error, .. } => panic!("{error}"),
                }
            }
        }
    }
    let load = engine.load();
    let cached: usize = usages.iter().map(|usage| usage.cached_tokens).sum();
    let prompts: usize = usages.iter().map(|usage| usage.prompt_tokens).sum();
    assert_eq!((load.cache_found_total, load.cache_sought_total), (cached as u64, prompts as u64));
    assert_eq!(load.prompt_tokens_total, (prompts - cached) as u64, "the rest was computed");
    usages
}

fn cached(requests: Vec<Request>) -> Vec<usize> {
    usages(ROOMY, requests).into_iter().map(|usage| usage.cached_tokens).collect()
}

fn long(prompt: &[u32]) -> Request {
    Request { stop_tokens: vec![], ..request(prompt, 5, 1) }
}

#[test]
fn a_prompt_is_computed_from_where_it_differs() {
    let prompt: Vec<u32> = (0..11).collect();
    let mut other = prompt.clone();
    other[6] = 0;
    assert_eq!(cached(vec![long(&prompt), long(&prompt), long(&other), long(&prompt[..8])]), [0, 8, 4, 4]);
}

#[test]
fn the_next_turn_of_a_chat_begins_with_the_answer_of_the_last() {
    let prompt: Vec<u32> = (0..6).collect();
    let answer = alone(long(&prompt)).0;
    let next: Vec<u32> = prompt.iter().chain(&answer).copied().chain([1, 2]).collect();
    // Of 11 tokens ten were computed: the last one was only answered. Two blocks are full.
    assert_eq!(cached(vec![long(&prompt), long(&next)]), [0, 8]);
}

#[test]
fn tenants_with_salts_of_their_own_share_nothing() {
    let salted = |salt: Option<&str>| Request { cache_salt: salt.map(str::to_owned), ..long(&[1; 9]) };
    let requests = [Some("a"), Some("b"), None, Some("a"), Some("b"), None].map(salted);
    assert_eq!(cached(requests.to_vec()), [0, 0, 0, 8, 8, 8]);
}

#[test]
fn adapters_share_nothing_whatever_salt_a_client_thinks_of() {
    let with = |adapter: Option<u32>, salt: &str| Request {
        adapter: adapter.map(AdapterId),
        cache_salt: Some(salt.to_owned()),
        ..long(&[1; 9])
    };
    let requests = [with(None, ""), with(Some(0), ""), with(Some(1), ""), with(None, "0/"), with(None, "/")];
    assert_eq!(cached(requests.to_vec()), [0; 5]);
    assert_eq!(cached(vec![with(Some(1), "a"), with(Some(1), "b"), with(Some(1), "a")]), [0, 0, 8]);
}

#[test]
fn the_engine_tells_which_adapters_run_and_wait() {
    let (mut engine, _) = engine(Setup { max_sequences: 2, ..ROOMY });
    for adapter in [None, Some(AdapterId(1)), Some(AdapterId(0)), Some(AdapterId(1))] {
        engine.submit(Request { adapter, ..long(&[1; 9]) }).unwrap();
    }
    engine.step();
    assert_eq!(engine.adapters(), [[AdapterId(1)].into(), [AdapterId(0), AdapterId(1)].into()]);
}

#[test]
fn whoever_wants_all_computed_reuses_nothing() {
    let scored = Request { scores_prompt: true, logprobs: Some(0), ..long(&[1; 9]) };
    let measured = Request { computes_all: true, ..long(&[1; 9]) };
    assert_eq!(cached(vec![long(&[1; 9]), scored, measured, long(&[1; 9])]), [0, 0, 0, 8]);
}

#[test]
fn what_is_kept_gives_way_to_what_runs() {
    let tight = Setup { n_blocks: 15, ..ROOMY };
    let (first, second) = (long(&[1; 12]), Request { max_tokens: Some(20), ..long(&[2; 39]) });
    let cached: Vec<usize> =
        usages(tight, vec![first.clone(), second, first]).into_iter().map(|usage| usage.cached_tokens).collect();
    assert_eq!(cached, [0, 0, 0]);
}

#[test]
fn sequences_that_run_together_hold_one_copy() {
    let (mut engine, _) = engine(ROOMY);
    let prompt: Vec<u32> = (0..16).chain(0..16).collect();
    engine.submit(long(&prompt)).unwrap();
    let mut answers = Answers::new();
    take(engine.step(), &mut answers);
    let before = engine.load().blocks_used;
    for last in 1..5 {
        engine.submit(long(&[prompt.as_slice(), &[last]].concat())).unwrap();
    }
    take(engine.step(), &mut answers);
    assert_eq!(engine.load().blocks_used, before + 5, "one block each for what is their own");
    run(&mut engine, &mut answers);
    for (id, last) in (1..5).map(|n| (SeqId(n), u32::try_from(n).unwrap())) {
        assert_eq!(answers[&id], alone(long(&[prompt.as_slice(), &[last]].concat())));
    }
}

#[test]
fn what_comes_at_once_is_computed_once() {
    for step_tokens in [3, 7, 64] {
        let (mut engine, _) = engine(Setup { step_tokens, max_sequences: 3, ..ROOMY });
        let prompt: Vec<u32> = (0..16).chain(0..16).chain([1]).collect();
        for last in [1, 1, 2] {
            engine.submit(long(&[prompt.as_slice(), &[last]].concat())).unwrap();
        }
        let mut answers = Answers::new();
        run(&mut engine, &mut answers);
        assert_eq!((engine.load().prompt_tokens_total, engine.load().cache_found_total), (34 + 2 + 2, 64));
        for (id, last) in [1, 1, 2].into_iter().enumerate() {
            assert_eq!(answers[&SeqId(id as u64)], alone(long(&[prompt.as_slice(), &[last]].concat())));
        }
    }
}

#[test]
fn a_failed_sequence_leaves_nothing_behind() {
    let (mut engine, _) = engine(Setup { step_tokens: 8, ..ROOMY });
    let prompt = [[1; 9].as_slice(), &[POISON.0]].concat();
    for _ in 0..2 {
        engine.submit(long(&prompt)).unwrap();
        let effects = std::iter::from_fn(|| (!engine.is_idle()).then(|| engine.step())).flatten();
        let failed = effects.filter(|effect| !matches!(effect, Effect::Started { .. })).count();
        assert_eq!(failed, 1);
    }
    assert_eq!((engine.load().cache_found_total, engine.load().blocks_used), (0, 0));
}
