//! Tiny random models against their reference in numpy (tests/reference/tiny_llama.py), in both formats.

mod adapters;
mod families;
mod on;
mod quantised;
mod together;

use std::path::{Path, PathBuf};

use alcazar_core::{
    Batch, BlockId, CacheShape, Model, RawTensor, SeqId, Sequence, SourceError, TokenId, WeightSource, WeightType,
};
use alcazar_engine::{Effect, Engine, EngineConfig, Request, Sampling, Speculation};
use alcazar_formats::ModelFiles;
use serde_json::Value;

use crate::LoadError;
pub(crate) use on::On;

const CACHE: CacheShape = CacheShape { n_blocks: 8, block_tokens: 16 };

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn open(on: On, path: &Path) -> Box<dyn Model> {
    let files = alcazar_formats::open(path).unwrap();
    on.load(files.config().decoder().unwrap(), &files, CACHE).unwrap()
}

fn references() -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(testdata("tiny.json")).unwrap()).unwrap()
}

fn tokens(value: &Value) -> Vec<TokenId> {
    value.as_array().unwrap().iter().map(|n| TokenId(u32::try_from(n.as_u64().unwrap()).unwrap())).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the reference is f32")]
fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn batch(tokens: &[TokenId], start: usize, logit_rows: Vec<usize>) -> Batch {
    let blocks = [6, 1, 4].map(BlockId).to_vec();
    let sequence = Sequence { id: SeqId(0), first_row: 0, n_tokens: tokens.len(), start, blocks, adapter: None };
    Batch { tokens: tokens.to_vec(), sequences: vec![sequence], logit_rows }
}

fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn scores_are_the_reference_in_both_formats_and_on_both_backends() {
    for reference in references() {
        let name = reference["name"].as_str().unwrap();
        for path in [testdata(&format!("{name}.gguf")), testdata(name)] {
            for on in On::ALL {
                let tolerance = if on == On::SERVED { 1e-2 } else { 2e-4 };
                let mut model = open(on, &path);
                let scores = model.forward(&batch(&tokens(&reference["tokens"]), 0, vec![7, 20])).unwrap();
                for (nth, key) in ["middle", "last"].iter().enumerate() {
                    let error = difference(scores.row(nth).unwrap(), &floats(&reference[key]));
                    assert!(error < tolerance, "{} {key} on {on:?}: {error}", path.display());
                }
            }
        }
    }
}

#[test]
fn chunks_are_what_the_whole_is() {
    for reference in references() {
        let path = testdata(&format!("{}.gguf", reference["name"].as_str().unwrap()));
        let prompt = tokens(&reference["tokens"]);
        let whole = open(On::SERVED, &path).forward(&batch(&prompt, 0, vec![prompt.len() - 1])).unwrap();
        let mut model = open(On::SERVED, &path);
        let none = model.forward(&batch(&prompt[..9], 0, Vec::new())).unwrap();
        assert_eq!(none.n_rows(), 0);
        let rest = &prompt[9..];
        let chunked = model.forward(&batch(rest, 9, vec![rest.len() - 1])).unwrap();
        assert!(difference(chunked.row(0).unwrap(), whole.row(0).unwrap()) < 1e-5);
    }
}

fn engine(path: &Path) -> Engine {
    let config = EngineConfig {
        max_sequences: 4,
        max_queued: 8,
        max_queued_tokens: 1000,
        step_tokens: 8,
        context_length: 64,
        seed: 1,
        speculation: Speculation::default(),
    };
    Engine::new(open(On::SERVED, path), config)
}

fn greedy(prompt: &[TokenId], max_tokens: usize) -> Request {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    Request { prompt: prompt.to_vec(), max_tokens: Some(max_tokens), sampling, ..Request::default() }
}

#[test]
fn the_engine_answers_as_the_reference_does_together_with_others() {
    for reference in references() {
        let path = testdata(&format!("{}.gguf", reference["name"].as_str().unwrap()));
        let prompt = tokens(&reference["tokens"]);
        let mut engine = engine(&path);
        let id = engine.submit(greedy(&prompt, 24)).unwrap();
        for length in [1, 5, 13] {
            engine.submit(greedy(&prompt[..length], 20)).unwrap();
        }
        let mut answer = Vec::new();
        while !engine.is_idle() {
            for effect in engine.step() {
                match effect {
                    Effect::Token { id: whose, token, .. } if whose == id => answer.push(token),
                    Effect::Failed { error, .. } => panic!("{error}"),
                    _ => {}
                }
            }
        }
        assert_eq!(answer, tokens(&reference["greedy"]), "{}", path.display());
    }
}

/// The files, but for one tensor.
struct Altered<'a> {
    files: &'a ModelFiles,
    name: &'static str,
    shape: Option<Vec<usize>>,
}

impl WeightSource for Altered<'_> {
    fn describe(&self, name: &str) -> Option<(WeightType, Vec<usize>)> {
        let (weight_type, shape) = self.files.describe(name)?;
        if name == self.name {
            self.shape.clone().map(|shape| (weight_type, shape))
        } else {
            Some((weight_type, shape))
        }
    }

    fn read(&self, name: &str) -> Result<RawTensor<'_>, SourceError> {
        if name == self.name {
            return Err(SourceError { name: name.to_owned(), message: "it is not there".to_owned() });
        }
        self.files.read(name)
    }
}

#[test]
fn a_tensor_that_is_missing_or_misshapen_is_named() {
    let files = alcazar_formats::open(&testdata("llama.gguf")).unwrap();
    let name = "blk.1.ffn_up.weight";
    for shape in [None, Some(vec![32, 48])] {
        let source = Altered { files: &files, name, shape };
        let error = On::SERVED.load(files.config().decoder().unwrap(), &source, CACHE).err().unwrap();
        assert!(
            matches!(error, LoadError::Source(_) | LoadError::Shape { .. }) && error.to_string().contains(name),
            "{error}"
        );
    }
}
