//! Every family against transformers (tests/reference/families.py), from each format, on both backends.

use std::path::PathBuf;

use alcazar_core::{
    Batch, BlockId, CacheShape, Logits, Model, RawTensor, SeqId, Sequence, SourceError, TokenId, WeightSource,
    WeightType,
};
use alcazar_engine::{Effect, Engine, EngineConfig, Request, Sampling, Speculation};
use alcazar_formats::ModelFiles;
use serde_json::Value;

use super::{On, difference, floats, tokens};

const CACHE: CacheShape = CacheShape { n_blocks: 40, block_tokens: 8 };
/// Where the cache is f32.
const TOLERANCE: f32 = 2e-4;
/// Where keys and values are kept in f16.
const F16_TOLERANCE: f32 = 2e-2;

fn tolerance(on: On) -> f32 {
    if on == On::SERVED { F16_TOLERANCE } else { TOLERANCE }
}

struct Fixture {
    folder: PathBuf,
    prompt: Vec<TokenId>,
    /// Row, and its scores.
    rows: Vec<(usize, Vec<f32>)>,
    greedy: Vec<TokenId>,
    served: usize,
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/decoders")
}

impl Fixture {
    fn read(name: &str) -> Self {
        let folder = fixtures().join(name);
        let expected: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let rows = expected["rows"].as_object().unwrap().iter();
        let mut rows: Vec<_> = rows.map(|(row, scores)| (row.parse().unwrap(), floats(scores))).collect();
        rows.sort_by_key(|(row, _)| *row);
        let served = usize::try_from(expected["served"].as_u64().unwrap()).unwrap();
        Self { folder, prompt: tokens(&expected["prompt"]), rows, greedy: tokens(&expected["greedy"]), served }
    }

    fn open(&self, file: &str, on: On) -> Box<dyn Model> {
        let path = if file.is_empty() { self.folder.clone() } else { self.folder.join(file) };
        let files = alcazar_formats::open(&path).unwrap();
        let mut config = files.config().decoder().unwrap().clone();
        config.context_length = self.served;
        on.load(&config, &files, CACHE).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// Tokens of one sequence, whose cache blocks are `first, first + 1, …`.
fn part(id: u64, first: u32, start: usize, n_tokens: usize, first_row: usize) -> Sequence {
    let blocks = (first..first + 12).map(BlockId).collect();
    Sequence { id: SeqId(id), first_row, n_tokens, start, blocks, adapter: None }
}

fn alone(tokens: &[TokenId], start: usize, logit_rows: Vec<usize>) -> Batch {
    Batch { tokens: tokens.to_vec(), sequences: vec![part(0, 3, start, tokens.len(), 0)], logit_rows }
}

fn likeliest(scores: &[f32]) -> TokenId {
    let best = scores.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap();
    TokenId(u32::try_from(best.0).unwrap())
}

fn continued(model: &mut dyn Model, prompt: &[TokenId], n: usize) -> Vec<TokenId> {
    let mut answer: Vec<TokenId> = Vec::new();
    for nth in 0..n {
        let batch = match answer.last() {
            None => alone(prompt, 0, vec![prompt.len() - 1]),
            Some(last) => alone(&[*last], prompt.len() + nth - 1, vec![0]),
        };
        answer.push(likeliest(model.forward(&batch).unwrap().row(0).unwrap()));
    }
    answer
}

/// Scores of all rows that the reference has, and the likeliest tokens that follow.
fn is_the_reference(fixture: &Fixture, file: &str) {
    let place = fixture.folder.join(file);
    for on in On::ALL {
        let mut model = fixture.open(file, on);
        let batch = alone(&fixture.prompt, 0, fixture.rows.iter().map(|(row, _)| *row).collect());
        let scores = model.forward(&batch).unwrap();
        for (nth, (row, expected)) in fixture.rows.iter().enumerate() {
            let error = difference(scores.row(nth).unwrap(), expected);
            assert!(error < tolerance(on), "{} row {row} on {on:?}: {error}", place.display());
        }
        let found = continued(&mut *model, &fixture.prompt, fixture.greedy.len());
        assert_eq!(found, fixture.greedy, "{} on {on:?}", place.display());
    }
}

/// Whole, in chunks, and among others: the same scores. A last bit may be rounded to another f16.
fn stands_alone_and_in_company(fixture: &Fixture) {
    let prompt = &fixture.prompt;
    let last = prompt.len() - 1;
    for on in On::ALL {
        let tolerance = if on == On::SERVED { F16_TOLERANCE } else { 1e-4 };
        let open = || fixture.open("", on);
        let close = |found: Option<&[f32]>, expected: &Logits| {
            let error = difference(found.unwrap(), expected.row(0).unwrap());
            assert!(error < tolerance, "{error}, at most {tolerance}");
        };
        let whole = open().forward(&alone(prompt, 0, vec![last])).unwrap();
        let mut model = open();
        assert_eq!(model.forward(&alone(&prompt[..9], 0, Vec::new())).unwrap().n_rows(), 0);
        close(model.forward(&alone(&prompt[9..], 9, vec![last - 9])).unwrap().row(0), &whole);
        // Two prompts and a decode, whose sequence has its earlier tokens in the cache.
        let mut model = open();
        model.forward(&alone(&prompt[..last], 0, Vec::new())).unwrap();
        let tokens = [&prompt[5..14], &prompt[2..5], &prompt[last..]].concat();
        let sequences = vec![part(1, 15, 0, 9, 0), part(2, 27, 0, 3, 9), part(0, 3, last, 1, 12)];
        let mixed = model.forward(&Batch { tokens, sequences, logit_rows: vec![8, 11, 12] }).unwrap();
        close(mixed.row(2), &whole);
        close(mixed.row(0), &open().forward(&alone(&prompt[5..14], 0, vec![8])).unwrap());
    }
}

/// Through the engine, in steps of a few rows, while others come and go: the same tokens.
fn answers_through_the_engine(fixture: &Fixture) {
    let config = EngineConfig {
        max_sequences: 4,
        max_queued: 8,
        max_queued_tokens: 1000,
        step_tokens: 8,
        context_length: 128,
        seed: 1,
        speculation: Speculation::default(),
    };
    let mut engine = Engine::new(fixture.open("", On::SERVED), config);
    let request = |prompt: &[TokenId], n: usize| Request {
        prompt: prompt.to_vec(),
        max_tokens: Some(n),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        ..Request::default()
    };
    engine.submit(request(&fixture.prompt[..5], 30)).unwrap();
    let whose = engine.submit(request(&fixture.prompt, fixture.greedy.len())).unwrap();
    engine.submit(request(&fixture.prompt[..17], 9)).unwrap();
    let mut answer = Vec::new();
    while !engine.is_idle() {
        for effect in engine.step() {
            match effect {
                Effect::Token { id, token, .. } if id == whose => answer.push(token),
                Effect::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }
    assert_eq!(answer, fixture.greedy);
}

/// A test for each fixture, and the list of all.
macro_rules! families {
    ($($test:ident: $name:literal $(, $file:literal)*;)*) => {
        const TESTED: &[(&str, &[&str])] = &[$(($name, &[$($file),*])),*];
        $(
            #[test]
            fn $test() {
                let fixture = Fixture::read($name);
                is_the_reference(&fixture, "");
                $(is_the_reference(&fixture, $file);)*
                stands_alone_and_in_company(&fixture);
                if !fixture.greedy.is_empty() {
                    answers_through_the_engine(&fixture);
                }
            }
        )*
    };
}

families! {
    llama_with_linear_rope: "llama-linear", "gguf";
    llama_with_yarn_and_biases: "llama-yarn", "gguf";
    llama_with_dynamic_rope: "llama-dynamic";
    mistral_with_a_window: "mistral";
    mistral_without_a_window: "mistral-full", "gguf";
    qwen2_with_windows_in_later_layers: "qwen2-window";
    qwen3: "qwen3", "gguf";
    gemma: "gemma", "gguf";
    gemma2: "gemma2", "gguf";
    gemma3: "gemma3", "gguf";
    gemma3_that_sees: "gemma3-vision";
    phi3_within_its_first_context: "phi3", "gguf";
    phi3_beyond_its_first_context: "phi3-long", "gguf";
    olmo2: "olmo2", "gguf";
    olmo3: "olmo3", "gguf";
    ministral_with_windows_in_some_layers: "ministral";
    mistral3_that_sees: "mistral3";
    granite: "granite", "gguf";
    seed_oss: "seed-oss", "gguf";
    stablelm: "stablelm";
    stablelm_in_parallel: "stablelm-parallel";
    ernie_4_5: "ernie4.5";
    exaone4: "exaone4", "gguf";
    exaone4_without_windows: "exaone4-full", "gguf";
    glm4: "glm4";
    smollm3: "smollm3", "gguf";
    starcoder2: "starcoder2", "gguf";
    gpt2: "gpt2", "gguf";
    gpt2_with_rare_scales: "gpt2-scaled";
    gpt_neox: "gpt-neox", "gguf";
    gpt_neox_one_after_the_other: "gpt-neox-sequential", "gguf";
    mixtral: "mixtral", "gguf";
    qwen3_moe: "qwen3-moe";
    qwen3_moe_with_normed_weights: "qwen3-moe-normed", "gguf";
    qwen3_moe_with_dense_layers: "qwen3-moe-dense";
    gpt_bigcode: "gpt-bigcode", "gguf";
    gpt_bigcode_with_all_heads: "gpt-bigcode-heads";
    opt: "opt";
    opt_with_norms_after: "opt-after";
    bloom: "bloom", "gguf";
    falcon: "falcon", "gguf";
    falcon_with_one_norm: "falcon-one-norm", "gguf";
    falcon_with_shared_keys: "falcon-shared", "gguf";
    falcon_with_slopes: "falcon-alibi";
    gpt_j: "gpt-j";
    gpt_neo: "gpt-neo";
    gpt_oss: "gpt-oss", "gguf";
}

/// MXFP4 as plain numbers.
struct Dequantised(ModelFiles);

impl WeightSource for Dequantised {
    fn describe(&self, name: &str) -> Option<(WeightType, Vec<usize>)> {
        self.0.describe(name).map(|(_, shape)| (WeightType::F32, shape))
    }

    fn read(&self, name: &str) -> Result<RawTensor<'_>, SourceError> {
        let raw = self.0.read(name)?;
        if raw.weight_type != WeightType::MXFP4 {
            return Ok(RawTensor::from_f32(name, &raw.shape, &raw.to_f32()?));
        }
        let number = |code: u8| {
            let size = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][usize::from(code % 8)];
            if code < 8 { size } else { -size }
        };
        let mut values = Vec::new();
        for block in raw.data.chunks(17) {
            let factor = (f32::from(block[0]) - 127.0).exp2();
            let codes = block[1..].iter().map(|byte| byte & 0xf).chain(block[1..].iter().map(|byte| byte >> 4));
            values.extend(codes.map(|code| factor * number(code)));
        }
        Ok(RawTensor::from_f32(name, &raw.shape, &values))
    }
}

/// Its products round the other side to 8 bits, and three layers of noise make more of it than a trained model would.
#[test]
fn gpt_oss_in_mxfp4() {
    const ROUNDED: f32 = 0.5;
    let fixture = Fixture::read("gpt-oss-mxfp4");
    let batch = alone(&fixture.prompt, 0, fixture.rows.iter().map(|(row, _)| *row).collect());
    for on in On::ALL {
        let [from_gguf, from_hugging_face] = ["gguf", ""].map(|file| fixture.open(file, on).forward(&batch).unwrap());
        let files = alcazar_formats::open(&fixture.folder.join("gguf")).unwrap();
        let config = files.config().decoder().unwrap().clone();
        let exact = on.load(&config, &Dequantised(files), CACHE).unwrap().forward(&batch).unwrap();
        for (nth, (row, expected)) in fixture.rows.iter().enumerate() {
            let error = |scores: &Logits| difference(scores.row(nth).unwrap(), expected);
            let most = if on == On::SERVED { ROUNDED } else { TOLERANCE };
            assert!(error(&exact) < most, "row {row} on {on:?}: {}", error(&exact));
            for rounded in [&from_gguf, &from_hugging_face] {
                assert!(error(rounded) < ROUNDED, "row {row} on {on:?}: {}", error(rounded));
            }
        }
        if on == On::Candle {
            assert_eq!(from_gguf, from_hugging_face, "the same numbers, packed otherwise");
        }
    }
}

/// Files whose names begin otherwise than the fixture's.
struct Prefixed {
    files: ModelFiles,
    theirs: &'static str,
    fixtures: &'static str,
}

impl Prefixed {
    fn fixtures_name(&self, name: &str) -> Option<String> {
        if name.starts_with("lm_head") {
            return Some(name.to_owned());
        }
        Some(format!("{}{}", self.fixtures, name.strip_prefix(self.theirs)?))
    }
}

impl WeightSource for Prefixed {
    fn describe(&self, name: &str) -> Option<(WeightType, Vec<usize>)> {
        self.files.describe(&self.fixtures_name(name)?)
    }

    fn read(&self, name: &str) -> Result<RawTensor<'_>, SourceError> {
        self.files.read(&self.fixtures_name(name).unwrap_or_else(|| name.to_owned()))
    }
}

#[test]
fn names_may_begin_as_other_publishers_have_them() {
    for (name, fixtures, theirs) in [
        ("gpt2", "transformer.", ""),
        ("bloom", "transformer.", ""),
        ("opt", "model.decoder.", "decoder."),
        ("gemma3", "model.", "language_model.model."),
        ("gemma3", "model.", "model.language_model."),
    ] {
        let fixture = Fixture::read(name);
        let files = alcazar_formats::open(&fixture.folder).unwrap();
        let config = files.config().decoder().unwrap().clone();
        let mut model = On::Candle.load(&config, &Prefixed { files, theirs, fixtures }, CACHE).unwrap();
        let scores = model.forward(&alone(&fixture.prompt, 0, vec![23])).unwrap();
        assert!(difference(scores.row(0).unwrap(), &fixture.rows[3].1) < TOLERANCE, "{name} {theirs}");
    }
}

#[test]
fn every_fixture_has_its_test() {
    let mut found: Vec<_> = std::fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    let mut tested: Vec<_> = TESTED.iter().map(|(name, _)| std::ffi::OsString::from(name)).collect();
    tested.push("gpt-oss-mxfp4".into());
    tested.sort();
    assert_eq!(found, tested);
    for (name, files) in TESTED {
        assert_eq!(fixtures().join(name).join("gguf").exists(), !files.is_empty(), "{name}");
    }
}
