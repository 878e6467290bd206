//! Whatever else is served, however small the cache: every sequence gets the answer that it would get alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use alcazar_core::{AdapterId, BackendError, Batch, CacheShape, Logits, Model, SeqId, TokenId};
use proptest::prelude::*;

use super::{Engine, EngineConfig};
use crate::{Effect, FinishReason, Refused, Request, Sampling, Speculation};

mod faults;
mod guesses;
mod reuse;
mod scores;
mod turns;

const VOCABULARY: usize = 17;
const N_ADAPTERS: u32 = 2;
/// A prompt with this token makes its scores no numbers.
const POISON: TokenId = TokenId(16);

/// What a batch does that holds [`TRIGGER`].
#[derive(Clone, Copy)]
enum Fault {
    None,
    Error,
    Panic,
    /// It fails whatever it holds.
    Always,
}

const TRIGGER: TokenId = TokenId(15);

#[derive(Default)]
struct Seen {
    most_rows: usize,
    most_sequences: usize,
}

/// A token and what it was computed with.
type Computed = (TokenId, Option<AdapterId>);

/// Keeps the tokens themselves in its cache, and scores from all that it finds there: a block that was mixed up, or a
/// token that was left out, changes every later score.
struct HashModel {
    shape: CacheShape,
    slots: Vec<Option<Computed>>,
    seen: Arc<Mutex<Seen>>,
    fault: Fault,
}

impl Model for HashModel {
    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn cache_shape(&self) -> CacheShape {
        self.shape
    }

    fn n_adapters(&self) -> usize {
        N_ADAPTERS as usize
    }

    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        batch.check(&self.shape, VOCABULARY)?;
        let is_hit = batch.tokens.contains(&TRIGGER);
        match self.fault {
            Fault::Always => return Err(BackendError::Batch { message: "out of order".to_owned() }),
            Fault::Error if is_hit => return Err(BackendError::Batch { message: "out of order".to_owned() }),
            Fault::Panic if is_hit => panic!("out of order"),
            Fault::None | Fault::Error | Fault::Panic => {}
        }
        let mut seen = self.seen.lock().unwrap();
        seen.most_rows = seen.most_rows.max(batch.tokens.len());
        seen.most_sequences = seen.most_sequences.max(batch.sequences.len());
        for (nth, sequence) in batch.sequences.iter().enumerate() {
            let written = &sequence.blocks[sequence.start / self.shape.block_tokens..];
            let others = batch.sequences.iter().enumerate().filter(|(other, _)| *other != nth);
            let shared = others.flat_map(|(_, other)| &other.blocks).find(|block| written.contains(block));
            assert_eq!(shared, None, "a block that is written to has one holder");
        }
        let mut scores = Vec::new();
        for sequence in &batch.sequences {
            let slot = |position: usize| {
                sequence.blocks[position / self.shape.block_tokens].index() * self.shape.block_tokens
                    + position % self.shape.block_tokens
            };
            for row in 0..sequence.n_tokens {
                let token = batch.tokens[sequence.first_row + row];
                self.slots[slot(sequence.start + row)] = Some((token, sequence.adapter));
                if batch.logit_rows.contains(&(sequence.first_row + row)) {
                    let history = (0..=sequence.start + row).map(|at| self.slots[slot(at)].expect("cached"));
                    scores.extend(score(history));
                }
            }
        }
        Logits::new(VOCABULARY, scores)
    }
}

fn score(history: impl Iterator<Item = Computed>) -> Vec<f32> {
    let (mut hash, mut poisoned) = (7u64, false);
    for (token, adapter) in history {
        let adapter = adapter.map_or(0, |AdapterId(nth)| u64::from(nth + 1) << 32);
        hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(adapter + u64::from(token.0) + 1);
        poisoned |= token == POISON;
    }
    let one = |n: u64| {
        let thousandths = (hash.rotate_left(u32::try_from(n * 3).unwrap()) >> 40) % 1000;
        f32::from(u16::try_from(thousandths).unwrap()) / 250.0
    };
    let scores = (0..VOCABULARY as u64).map(|n| if poisoned { f32::NAN } else { one(n) });
    // The poison is never chosen.
    scores.enumerate().map(|(n, score)| if n == POISON.index() && !poisoned { -1e9 } else { score }).collect()
}

#[derive(Clone, Copy, Debug)]
struct Setup {
    n_blocks: usize,
    block_tokens: usize,
    max_sequences: usize,
    step_tokens: usize,
    speculation: Speculation,
}

const ROOMY: Setup =
    Setup { n_blocks: 200, block_tokens: 4, max_sequences: 8, step_tokens: 64, speculation: Speculation::OFF };

fn engine(setup: Setup) -> (Engine, Arc<Mutex<Seen>>) {
    let shape = CacheShape { n_blocks: setup.n_blocks, block_tokens: setup.block_tokens };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let model = HashModel { shape, slots: vec![None; shape.n_tokens()], seen: Arc::clone(&seen), fault: Fault::None };
    let config = EngineConfig {
        max_sequences: setup.max_sequences,
        max_queued: 100,
        max_queued_tokens: 100_000,
        step_tokens: setup.step_tokens,
        context_length: 60,
        seed: 0,
        speculation: setup.speculation,
    };
    (Engine::new(Box::new(model), config), seen)
}

fn request(prompt: &[u32], max_tokens: usize, seed: u64) -> Request {
    Request {
        prompt: prompt.iter().copied().map(TokenId).collect(),
        max_tokens: Some(max_tokens),
        sampling: Sampling { seed: Some(seed), frequency_penalty: 0.5, ..Sampling::default() },
        stop_tokens: vec![TokenId(3)],
        ..Request::default()
    }
}

type Answers = HashMap<SeqId, (Vec<u32>, Option<FinishReason>)>;

fn take(effects: Vec<Effect>, answers: &mut Answers) {
    for effect in effects {
        match effect {
            Effect::Started { .. } | Effect::Scored { .. } => {}
            Effect::Token { id, token, .. } => {
                let answer = answers.entry(id).or_default();
                assert_eq!(answer.1, None, "nothing follows the end");
                answer.0.push(token.0);
            }
            Effect::Finished { id, reason, usage } => {
                let answer = answers.entry(id).or_default();
                assert_eq!(usage.completion_tokens, answer.0.len());
                assert_eq!(answer.1.replace(reason), None);
            }
            Effect::Failed { id, error } => panic!("{id}: {error}"),
        }
    }
}

fn run(engine: &mut Engine, answers: &mut Answers) {
    let mut n_steps = 0;
    while !engine.is_idle() {
        take(engine.step(), answers);
        n_steps += 1;
        assert!(n_steps < 50_000, "the engine goes round in circles");
    }
    assert_eq!(engine.load().blocks_used, 0);
}

/// The answer to one request on an engine of its own.
fn alone(request: Request) -> (Vec<u32>, Option<FinishReason>) {
    let (mut engine, _) = engine(ROOMY);
    let id = engine.submit(request).unwrap();
    let mut answers = Answers::new();
    run(&mut engine, &mut answers);
    answers.remove(&id).unwrap()
}

#[test]
fn an_answer_ends_at_its_length_or_at_a_stop_token() {
    let (tokens, reason) = alone(Request { stop_tokens: Vec::new(), ..request(&[1, 2], 5, 1) });
    assert_eq!((tokens.len(), reason), (5, Some(FinishReason::Length)));
    let stop = Request { stop_tokens: vec![TokenId(tokens[2])], ..request(&[1, 2], 5, 1) };
    let cut = tokens.iter().position(|token| *token == tokens[2]).unwrap();
    assert_eq!(alone(stop), (tokens[..cut].to_vec(), Some(FinishReason::Stop)));
    let to_the_end = Request { max_tokens: None, stop_tokens: Vec::new(), ..request(&[1, 2], 5, 1) };
    assert_eq!(alone(to_the_end).0.len(), 58, "the context is full");
}

#[test]
fn what_cannot_be_served_is_refused_by_its_field() {
    let (mut engine, _) = engine(ROOMY);
    let mut refused = |request: Request| engine.submit(request).unwrap_err();
    assert_eq!(refused(request(&[], 1, 0)), Refused::PromptEmpty);
    assert_eq!(refused(request(&[1; 60], 1, 0)), Refused::PromptTooLong { tokens: 60, context: 60 });
    assert_eq!(refused(request(&[1; 50], 11, 0)).field(), Some("max_tokens"));
    assert_eq!(refused(request(&[99], 1, 0)), Refused::TokenUnknown { token: 99, vocabulary: VOCABULARY });
    assert_eq!(refused(request(&[1], 0, 0)).field(), Some("max_tokens"));
    let unknown = Request { adapter: Some(AdapterId(N_ADAPTERS)), ..request(&[1], 1, 0) };
    assert_eq!(refused(unknown).field(), Some("model"));
    for (sampling, field) in [
        (Sampling { temperature: -1.0, ..Sampling::default() }, "temperature"),
        (Sampling { temperature: f32::NAN, ..Sampling::default() }, "temperature"),
        (Sampling { top_p: 0.0, ..Sampling::default() }, "top_p"),
        (Sampling { min_p: 1.5, ..Sampling::default() }, "min_p"),
        (Sampling { repetition_penalty: 0.0, ..Sampling::default() }, "repetition_penalty"),
        (Sampling { frequency_penalty: 3.0, ..Sampling::default() }, "frequency_penalty"),
        (Sampling { presence_penalty: -3.0, ..Sampling::default() }, "presence_penalty"),
    ] {
        assert_eq!(refused(Request { sampling, ..request(&[1], 1, 0) }).field(), Some(field));
    }
    assert!(engine.is_idle());
}

#[test]
fn a_full_queue_says_so() {
    let (mut engine, _) = engine(ROOMY);
    for _ in 0..100 {
        engine.submit(request(&[1], 1, 0)).unwrap();
    }
    let refused = engine.submit(request(&[1], 1, 0)).unwrap_err();
    assert!(refused.is_overload(), "{refused}");
}

#[test]
fn a_cancelled_sequence_is_gone_before_the_next_step() {
    let (mut engine, _) = engine(ROOMY);
    let (gone, stays) = (engine.submit(request(&[1], 50, 1)).unwrap(), engine.submit(request(&[2], 9, 1)).unwrap());
    let mut answers = Answers::new();
    take(engine.step(), &mut answers);
    assert!(engine.cancel(gone) && !engine.cancel(gone));
    let before = answers.remove(&gone);
    run(&mut engine, &mut answers);
    assert_eq!((answers.remove(&gone), before.map(|answer| answer.1)), (None, Some(None)));
    assert_eq!(answers.remove(&stays).unwrap(), alone(request(&[2], 9, 1)));
}

#[test]
fn a_poisoned_sequence_fails_alone() {
    let (mut engine, _) = engine(ROOMY);
    let poisoned = engine.submit(request(&[POISON.0], 9, 1)).unwrap();
    let healthy = engine.submit(request(&[1, 2], 9, 1)).unwrap();
    let effects = engine.step();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Failed { id, .. } if *id == poisoned)));
    let mut answers = Answers::new();
    take(effects.into_iter().filter(|effect| !matches!(effect, Effect::Failed { .. })).collect(), &mut answers);
    run(&mut engine, &mut answers);
    assert_eq!(answers.remove(&healthy).unwrap(), alone(request(&[1, 2], 9, 1)));
}

#[test]
fn a_failed_step_ends_its_sequences_and_not_the_engine() {
    let shape = CacheShape { n_blocks: 4, block_tokens: 4 };
    let model = HashModel { shape, slots: vec![None; 16], seen: Arc::default(), fault: Fault::Always };
    let config = EngineConfig {
        max_sequences: 1,
        max_queued: 9,
        max_queued_tokens: 99,
        step_tokens: 8,
        context_length: 16,
        seed: 0,
        speculation: Speculation::default(),
    };
    let mut engine = Engine::new(Box::new(model), config);
    engine.submit(request(&[1], 1, 0)).unwrap();
    engine.submit(request(&[1], 1, 0)).unwrap();
    assert_eq!(engine.step().len(), 2, "it starts and fails");
    assert_eq!((engine.load().waiting, engine.load().blocks_used), (1, 0));
}

#[test]
fn a_short_prompt_does_not_wait_behind_a_long_one() {
    let (mut engine, _) = engine(Setup { step_tokens: 8, ..ROOMY });
    engine.submit(request(&[1; 55], 1, 0)).unwrap();
    let short = engine.submit(request(&[1, 2], 1, 0)).unwrap();
    assert!(engine.step().iter().any(|effect| matches!(effect, Effect::Token { id, .. } if *id == short)));
}

#[test]
fn an_answer_goes_on_in_every_step_while_prompts_come_in() {
    let (mut engine, _) = engine(Setup { step_tokens: 8, ..ROOMY });
    let first = engine.submit(request(&[1], 40, 5)).unwrap();
    let expected = alone(request(&[1], 40, 5)).0.len();
    let mut n_tokens = 0;
    for _ in 0..expected {
        drop(engine.submit(request(&[1; 50], 1, 0)));
        n_tokens += engine.step().iter().filter(|e| matches!(e, Effect::Token { id, .. } if *id == first)).count();
    }
    assert_eq!(n_tokens, expected);
}

fn setups() -> impl Strategy<Value = Setup> {
    let speculation = prop_oneof![Just(Speculation::OFF), Just(Speculation::default())];
    let sizes = (1usize..5, 1usize..17, 1usize..50, speculation);
    sizes.prop_flat_map(|(block_tokens, max_sequences, step_tokens, speculation)| {
        // From room for one context to room for all.
        let least = 60usize.div_ceil(block_tokens);
        (least..least * 3).prop_map(move |n_blocks| Setup {
            n_blocks,
            block_tokens,
            max_sequences,
            step_tokens,
            speculation,
        })
    })
}

#[derive(Clone, Debug)]
struct Arrival {
    prompt: Vec<u32>,
    max_tokens: usize,
    seed: u64,
    /// Its answer is of two tokens, and often guessed.
    is_narrow: bool,
    adapter: Option<AdapterId>,
    steps_before: usize,
    cancelled: bool,
}

impl Arrival {
    fn request(&self) -> Request {
        let mut request = request(&self.prompt, self.max_tokens, self.seed);
        request.adapter = self.adapter;
        if self.is_narrow {
            request.sampling.logit_bias = vec![(TokenId(0), 20.0), (TokenId(1), 20.0)];
        }
        request
    }
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    // Of few tokens, so that many begin alike.
    let prompt =
        prop_oneof![prop::collection::vec(0u32..16, 1..40), (0u32..2, 1usize..40).prop_map(|(n, len)| vec![n; len])];
    let prompt = (prompt, prop::collection::vec(0u32..2, 0..2)).prop_map(|(prompt, last)| [prompt, last].concat());
    let adapter = prop::option::of((0..N_ADAPTERS).prop_map(AdapterId));
    let arrival = (prompt, 1usize..20, 0u64..4, prop::bool::ANY, adapter, 0usize..4, prop::bool::weighted(0.15));
    let arrival = arrival.prop_map(|(prompt, max_tokens, seed, is_narrow, adapter, steps_before, cancelled)| Arrival {
        prompt,
        max_tokens,
        seed,
        is_narrow,
        adapter,
        steps_before,
        cancelled,
    });
    prop::collection::vec(arrival, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_answer_is_the_one_it_would_be_alone(setup in setups(), arrivals in arrivals()) {
        let (mut engine, seen) = engine(setup);
        let (mut answers, mut ids) = (Answers::new(), Vec::new());
        for arrival in &arrivals {
            for _ in 0..arrival.steps_before {
                take(engine.step(), &mut answers);
                let load = engine.load();
                prop_assert!(load.running <= setup.max_sequences && load.blocks_used <= setup.n_blocks);
            }
            let id = engine.submit(arrival.request()).unwrap();
            if arrival.cancelled {
                take(engine.step(), &mut answers);
                engine.cancel(id);
            }
            ids.push(id);
        }
        run(&mut engine, &mut answers);
        for (id, arrival) in ids.into_iter().zip(&arrivals).filter(|(_, arrival)| !arrival.cancelled) {
            let expected = alone(arrival.request());
            prop_assert_eq!(answers.remove(&id).unwrap(), expected);
        }
        let seen = seen.lock().unwrap();
        prop_assert!(seen.most_rows <= setup.step_tokens.max(setup.max_sequences));
        prop_assert!(seen.most_sequences <= setup.max_sequences);
    }
}
