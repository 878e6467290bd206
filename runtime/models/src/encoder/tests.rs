//! Tiny random encoders of every family and head against transformers (tests/reference/encoders.py).

mod decoders;
mod gguf;

use std::path::{Path, PathBuf};

use alcazar_core::{Encoder, PackedBatch};
use serde_json::Value;

use crate::{LoadError, tests::On};

const TOLERANCE: f32 = 2e-4;
const COSINE: f64 = 0.99999;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders")
}

struct Text {
    tokens: Vec<u32>,
    types: Vec<u32>,
    rows: Vec<Vec<f32>>,
}

fn references() -> Vec<(String, Vec<Text>)> {
    let all: Value = serde_json::from_slice(&std::fs::read(fixtures().join("expected.json")).unwrap()).unwrap();
    let of = |(name, texts): (&String, &Value)| (name.clone(), texts.as_array().unwrap().iter().map(text).collect());
    all.as_object().unwrap().iter().map(of).collect()
}

fn text(value: &Value) -> Text {
    let ids = |key: &str| serde_json::from_value(value[key].clone()).unwrap();
    Text { tokens: ids("tokens"), types: ids("types"), rows: serde_json::from_value(value["rows"].clone()).unwrap() }
}

fn open(name: &str, on: On) -> Box<dyn Encoder> {
    let files = alcazar_formats::open(&fixtures().join(name)).unwrap();
    on.load_encoder(files.config().encoder().unwrap(), &files).unwrap()
}

fn packed(texts: &[&Text], is_per_token: bool) -> PackedBatch {
    let mut batch = PackedBatch::default();
    for text in texts {
        let wanted: Vec<usize> = if is_per_token { (0..text.tokens.len()).collect() } else { vec![] };
        batch.push(&text.tokens, &text.types, &wanted);
    }
    batch
}

fn difference(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    assert_eq!(found.iter().map(Vec::len).sum::<usize>(), expected.iter().map(Vec::len).sum::<usize>());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn every_family_and_head_answers_as_the_reference() {
    let references = references();
    assert!(references.len() >= 49);
    for (name, texts) in references {
        for on in [On::Candle, On::SERVED] {
            let mut encoder = open(&name, on);
            let is_per_token = encoder.config().head.is_per_token();
            for text in &texts {
                let found = encoder.forward(&packed(&[text], is_per_token)).unwrap();
                let error = difference(&found, &text.rows);
                let length = text.tokens.len();
                assert!(error <= TOLERANCE, "{name} on {on:?}: off by {error} for {length} tokens");
                for (found, expected) in found.iter().zip(&text.rows) {
                    let cosine = cosine(found, expected);
                    assert!(cosine >= COSINE, "{name} on {on:?}: cosine {cosine} for {length} tokens");
                }
            }
        }
    }
}

#[test]
fn a_text_is_the_same_among_others() {
    for (name, texts) in references() {
        let mut encoder = open(&name, On::SERVED);
        let is_per_token = encoder.config().head.is_per_token();
        let order = [2, 0, 1, 2].map(|nth| &texts[nth]);
        let found = encoder.forward(&packed(&order, is_per_token)).unwrap();
        let alone: Vec<Vec<f32>> =
            order.iter().flat_map(|text| encoder.forward(&packed(&[text], is_per_token)).unwrap()).collect();
        let error = difference(&found, &alone);
        assert!(error <= 1e-5, "{name}: off by {error}");
    }
}

#[test]
fn only_the_rows_that_are_wanted_are_answered() {
    let (name, texts) = references().into_iter().find(|(name, _)| name == "bert-mask").unwrap();
    let mut encoder = open(&name, On::SERVED);
    let mut batch = PackedBatch::default();
    batch.push(&texts[1].tokens, &texts[1].types, &[2, 5]);
    let found = encoder.forward(&batch).unwrap();
    assert!(difference(&found, &[texts[1].rows[2].clone(), texts[1].rows[5].clone()]) <= TOLERANCE);
    batch.wanted.clear();
    assert!(encoder.forward(&batch).unwrap().is_empty());
}

#[test]
fn a_tensor_of_another_shape_is_refused() {
    let files = alcazar_formats::open(&fixtures().join("bert")).unwrap();
    let mut config = files.config().encoder().unwrap().clone();
    config.feed_forward += 1;
    let error = On::SERVED.load_encoder(&config, &files).err().unwrap();
    assert!(matches!(&error, LoadError::Shape { name, .. } if name.contains("intermediate")), "{error}");
}
