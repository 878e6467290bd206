//! Decoders that make vectors or judge texts (tests/reference/embedders.py), against transformers by tokens and against
//! sentence-transformers by texts.

use std::path::PathBuf;

use alcazar_backend_cpu::CachePrecision;
use alcazar_core::{Encoder, Head, PackedBatch};
use alcazar_text::Tokenizer;
use serde_json::Value;

use super::{Text, difference, packed, text};
use crate::tests::On;

/// Where the cache is f32.
const TOLERANCE: f32 = 2e-4;
/// Where keys and values are kept in f16.
const F16_TOLERANCE: f32 = 2e-2;

fn fixtures() -> PathBuf {
    super::fixtures().with_file_name("embedders")
}

fn expected() -> serde_json::Map<String, Value> {
    serde_json::from_slice(&std::fs::read(fixtures().join("expected.json")).unwrap()).unwrap()
}

fn open(name: &str, on: On) -> (Tokenizer, Box<dyn Encoder>) {
    let files = alcazar_formats::open(&fixtures().join(name)).unwrap();
    let encoder = on.load_encoder(files.config().encoder().unwrap(), &files).unwrap();
    (Tokenizer::open(&files).unwrap(), encoder)
}

fn texts(value: &Value) -> Vec<Text> {
    value["tokens"].as_array().unwrap().iter().map(text).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn decoders_make_vectors_and_judge_as_the_reference() {
    let all = expected();
    assert_eq!(all.len(), 11);
    for (name, value) in &all {
        for on in On::ALL {
            let tolerance = if on == On::SERVED { F16_TOLERANCE } else { TOLERANCE };
            let (_, mut encoder) = open(name, on);
            let makes_vectors = matches!(encoder.config().head, Head::Embedding(_));
            for text in texts(value) {
                let found = encoder.forward(&packed(&[&text], false)).unwrap();
                let error = difference(&found, &text.rows);
                assert!(error <= tolerance, "{name}: off by {error} for {} tokens", text.tokens.len());
                let cosine = cosine(&found[0], &text.rows[0]);
                assert!(!makes_vectors || cosine >= 0.99999, "{name}: cosine {cosine}");
            }
        }
    }
}

#[test]
fn texts_have_the_vectors_of_sentence_transformers() {
    let all = expected();
    let with_texts: Vec<_> = all.iter().filter(|(_, value)| value["texts"].is_array()).collect();
    assert_eq!(with_texts.len(), 6);
    for (name, value) in with_texts {
        let (tokenizer, mut encoder) = open(name, On::SERVED);
        let Head::Embedding(head) = encoder.config().head.clone() else { panic!("{name}") };
        assert_eq!(head.prompt.is_some(), name == "qwen3-prompt");
        for text in value["texts"].as_array().unwrap() {
            let whole = format!("{}{}", head.prompt.as_deref().unwrap_or_default(), text["text"].as_str().unwrap());
            let of_text = tokenizer.encode_text(&whole, None, None).unwrap();
            let mut batch = PackedBatch::default();
            batch.push(&of_text.tokens, &vec![0; of_text.tokens.len()], &[]);
            let expected: Vec<f32> = serde_json::from_value(text["vector"].clone()).unwrap();
            let cosine = cosine(&encoder.forward(&batch).unwrap()[0], &expected);
            assert!(cosine >= 0.99999, "{name}: cosine {cosine} of {whole:?}");
        }
    }
}

#[test]
fn a_text_is_the_same_among_others() {
    for (name, value) in &expected() {
        let (_, mut encoder) = open(name, On::Cpu(CachePrecision::F32));
        let texts = texts(value);
        let order = [2, 0, 1, 2].map(|nth| &texts[nth]);
        let found = encoder.forward(&packed(&order, false)).unwrap();
        let alone: Vec<_> = order.iter().flat_map(|text| encoder.forward(&packed(&[text], false)).unwrap()).collect();
        let error = difference(&found, &alone);
        assert!(error <= 1e-5, "{name}: off by {error}");
    }
}
