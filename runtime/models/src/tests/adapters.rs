//! Adapters against peft (tests/reference/adapters.py): each alone, on either form of its base, and all in one batch.

use std::path::{Path, PathBuf};

use alcazar_core::{
    AdapterId, AdapterSource, Batch, BlockId, CacheShape, DecoderConfig, Model, SeqId, Sequence, TokenId,
};
use alcazar_engine::{Effect, Engine, EngineConfig, Request, Sampling, Speculation};
use alcazar_formats::{Adapter, ModelFiles};
use serde_json::Value;

use super::{difference, floats, on::On, tokens};
use crate::{LoadError, check_adapter};

const CACHE: CacheShape = CacheShape { n_blocks: 64, block_tokens: 8 };
/// Operations in f32, as the reference has them.
const TOLERANCE: f32 = 2e-4;
/// Keys and values in f16, in random models whose heads random adapters have made wider.
const SERVED_TOLERANCE: f32 = 5e-2;

fn fixtures(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(kind)
}

/// An adapter and what peft computes with it.
struct Expected {
    adapter: Adapter,
    prompt: Vec<TokenId>,
    rows: Vec<(usize, Vec<f32>)>,
    greedy: Vec<TokenId>,
}

fn read(path: &Path) -> Expected {
    let expected: Value = serde_json::from_slice(&std::fs::read(path.join("expected.json")).unwrap()).unwrap();
    let rows = expected["rows"].as_object().unwrap().iter();
    let mut rows: Vec<_> = rows.map(|(row, scores)| (row.parse().unwrap(), floats(scores))).collect();
    rows.sort_by_key(|(row, _)| *row);
    let name = path.file_name().unwrap().to_string_lossy();
    let adapter = Adapter::open(&name, path).unwrap_or_else(|error| panic!("{error}"));
    Expected { adapter, prompt: tokens(&expected["prompt"]), rows, greedy: tokens(&expected["greedy"]) }
}

fn adapters(base: &str) -> Vec<Expected> {
    let entries = std::fs::read_dir(fixtures("adapters").join(base)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let all: Vec<_> = paths.iter().map(|path| read(path)).collect();
    assert_eq!(all.len(), 2);
    all
}

fn files(base: &str, file: &str) -> (ModelFiles, DecoderConfig) {
    let files = alcazar_formats::open(&fixtures("decoders").join(base).join(file)).unwrap();
    let mut config = files.config().decoder().unwrap().clone();
    if base == "phi3" {
        config.context_length = 96;
    }
    (files, config)
}

fn open(base: &str, file: &str, on: On, adapters: &[Expected]) -> Box<dyn Model> {
    let (files, config) = files(base, file);
    let adapters: Vec<_> = adapters.iter().map(|expected| &expected.adapter as &dyn AdapterSource).collect();
    on.load_with_adapters(&config, &files, CACHE, &adapters).unwrap_or_else(|error| panic!("{base}: {error}"))
}

/// Rows of one sequence, whose cache blocks are `first, first + 1, …`.
fn part(id: u64, adapter: Option<u32>, first_row: usize, n_tokens: usize, start: usize) -> Sequence {
    let first = 12 * u32::try_from(id).unwrap();
    let blocks = (first..first + 12).map(BlockId).collect();
    Sequence { id: SeqId(id), first_row, n_tokens, start, blocks, adapter: adapter.map(AdapterId) }
}

fn alone(tokens: &[TokenId], adapter: Option<u32>, logit_rows: Vec<usize>) -> Batch {
    Batch { tokens: tokens.to_vec(), sequences: vec![part(0, adapter, 0, tokens.len(), 0)], logit_rows }
}

fn is_the_reference(base: &str, file: &str) {
    let adapters = adapters(base);
    for on in On::ALL {
        let tolerance = if on == On::SERVED { SERVED_TOLERANCE } else { TOLERANCE };
        for (nth, expected) in (0..).zip(&adapters) {
            let mut model = open(base, file, on, &adapters);
            let rows = expected.rows.iter().map(|(row, _)| *row).collect();
            let scores = model.forward(&alone(&expected.prompt, Some(nth), rows)).unwrap();
            for (at, (row, expected)) in expected.rows.iter().enumerate() {
                let error = difference(scores.row(at).unwrap(), expected);
                assert!(error < tolerance, "{base}/{file} adapter {nth} row {row}: {error}, at most {tolerance}");
            }
        }
    }
}

/// Without an adapter and with either, in one batch: each as alone, and those without the same bits as in a model that
/// has no adapters.
fn stands_in_company(base: &str) {
    let adapters = adapters(base);
    let prompt = &adapters[0].prompt;
    let last = prompt.len() - 1;
    let users = [None, Some(0), None, Some(1), Some(0)];
    let company = |users: [Option<u32>; 5]| {
        let part = |(nth, user): (usize, Option<u32>)| part(nth as u64, user, nth * prompt.len(), prompt.len(), 0);
        Batch {
            tokens: prompt.repeat(users.len()),
            sequences: users.into_iter().enumerate().map(part).collect(),
            logit_rows: (0..users.len()).map(|nth| nth * prompt.len() + last).collect(),
        }
    };
    for on in On::ALL {
        // Candle may add products of more rows in another order.
        let tolerance = if on == On::Candle { 1e-4 } else { 0.0 };
        let (files, config) = files(base, "");
        let mut unchanged = on.load(&config, &files, CACHE).unwrap();
        let of_base = unchanged.forward(&company([None; 5])).unwrap();
        let mut model = open(base, "", on, &adapters);
        let mixed = model.forward(&company(users)).unwrap();
        for (nth, user) in users.into_iter().enumerate() {
            let mut model = open(base, "", on, &adapters);
            let alone = model.forward(&alone(prompt, user, vec![last])).unwrap();
            let (mixed, of_base) = (mixed.row(nth).unwrap(), of_base.row(nth).unwrap());
            let error = difference(mixed, alone.row(0).unwrap());
            assert!(error <= tolerance, "{base} {user:?}: {error}, at most {tolerance}");
            match user {
                // Which rows an expert gets together depends on what the others say.
                None if base == "mixtral" => assert!(difference(mixed, of_base) <= tolerance),
                None => assert_eq!(mixed, of_base, "{base}"),
                Some(_) => assert!(difference(mixed, of_base) > 0.1, "{base} {user:?} changes nothing"),
            }
        }
    }
}

/// Through the engine, all together in small steps: each adapter's answer is peft's.
fn answers_through_the_engine(base: &str) {
    let adapters = adapters(base);
    let config = EngineConfig {
        max_sequences: 4,
        max_queued: 8,
        max_queued_tokens: 1000,
        step_tokens: 9,
        context_length: 64,
        seed: 1,
        speculation: Speculation::default(),
    };
    let mut engine = Engine::new(open(base, "", On::SERVED, &adapters), config);
    let mut submit = |adapter: Option<u32>| {
        let request = Request {
            prompt: adapters[0].prompt.clone(),
            max_tokens: Some(adapters[0].greedy.len()),
            sampling: Sampling { temperature: 0.0, ..Sampling::default() },
            adapter: adapter.map(AdapterId),
            ..Request::default()
        };
        engine.submit(request).unwrap()
    };
    submit(None);
    let ids = [submit(Some(0)), submit(Some(1))];
    let mut answers = [const { Vec::new() }; 2];
    while !engine.is_idle() {
        for effect in engine.step() {
            match effect {
                Effect::Token { id, token, .. } => {
                    if let Some(nth) = ids.iter().position(|whose| *whose == id) {
                        answers[nth].push(token);
                    }
                }
                Effect::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }
    for (answer, expected) in answers.iter().zip(&adapters) {
        assert_eq!(*answer, expected.greedy, "{base}");
    }
}

/// A test for each base, and the list of all.
macro_rules! bases {
    ($($test:ident: $name:literal $(, $file:literal)*;)*) => {
        const TESTED: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                is_the_reference($name, "");
                $(is_the_reference($name, $file);)*
                stands_in_company($name);
                answers_through_the_engine($name);
            }
        )*
    };
}

bases! {
    llama_with_ranks_and_alphas_of_their_own: "llama-yarn", "gguf";
    llama_whose_scores_share_the_embedding: "llama-linear", "gguf";
    phi3_whose_matrices_are_fused: "phi3", "gguf";
    falcon_whose_heads_are_grouped: "falcon", "gguf";
    gpt2_whose_matrices_lie_the_other_way: "gpt2", "gguf";
    mixtral_without_its_experts: "mixtral", "gguf";
}

#[test]
fn every_fixture_has_its_test() {
    let entries = std::fs::read_dir(fixtures("adapters")).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut tested = TESTED.to_vec();
    found.sort();
    tested.sort_unstable();
    assert_eq!(found, tested);
}

#[test]
fn an_adapter_of_another_model_is_refused_before_any_weight_is_read() {
    let adapters = adapters("llama-yarn");
    for (base, words) in [
        // Heads of another width; fused matrices; other modules; experts.
        ("llama-linear", ["self_attn", "the base that it was made for"]),
        ("phi3", ["self_attn.", "self_attn.qkv_proj"]),
        ("gpt2", ["it changes model.layers.0", "attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj, lm_head"]),
        ("mixtral", ["it changes model.layers.0.mlp.", "self_attn.o_proj, lm_head can be changed"]),
    ] {
        let error = check_adapter(&files(base, "").1, &adapters[1].adapter).unwrap_err();
        assert!(matches!(error, LoadError::Adapter { .. }));
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{base}: {error}");
    }
    for file in ["", "gguf"] {
        let (_, mut config) = files("llama-yarn", file);
        check_adapter(&config, &adapters[0].adapter).unwrap();
        config.layers.truncate(2);
        let error = check_adapter(&config, &adapters[0].adapter).unwrap_err().to_string();
        assert!(error.contains("the model has 2 layers"), "{error}");
    }
}

#[test]
fn a_sequence_may_only_name_an_adapter_that_is_there() {
    let adapters = adapters("gpt2");
    let mut model = open("gpt2", "", On::Candle, &adapters);
    assert_eq!(model.n_adapters(), 2);
    let error = model.forward(&alone(&adapters[0].prompt, Some(2), vec![0])).unwrap_err().to_string();
    assert!(error.contains("none of 2"), "{error}");
}
