//! all-MiniLM-L6-v2 against sentence-transformers (tests/reference/minilm.py): 500 sentences, packed as they are served.
//! `make test-model` fetches the files and runs it.

use std::{num::NonZeroUsize, path::Path};

use alcazar_backend_cpu::{CachePrecision, CpuBackend};
use alcazar_core::PackedBatch;
use alcazar_text::Tokenizer;
use half::f16;
use serde_json::Value;

const PACK: usize = 16;
/// As the reference cuts them; a GGUF of the model says nothing of it.
const MOST: usize = 256;

fn reference() -> (Vec<String>, Vec<Vec<f32>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("the reference should be there");
    let json: Value = serde_json::from_slice(&read("minilm.json")).expect("it should be JSON");
    let sentences = serde_json::from_value(json["sentences"].clone()).expect("it should have sentences");
    let bytes = read("minilm.f16");
    let width = usize::try_from(json["width"].as_u64().unwrap_or_default()).expect("it should have a width");
    let values: Vec<f32> = bytes.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect();
    (sentences, values.chunks(width).map(<[f32]>::to_vec).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// As it serves; the tests run beside each other.
fn backend() -> CpuBackend {
    CpuBackend::new(NonZeroUsize::MIN, CachePrecision::F16)
}

#[test]
fn every_sentence_has_the_vector_of_the_reference() {
    let path = std::env::var_os("ALCAZAR_MINILM")
        .expect("ALCAZAR_MINILM should name the model's directory: `make test-model` fetches it and says so");
    let files = alcazar_formats::open(Path::new(&path)).expect("the model should open");
    let config = files.config().encoder().expect("it is an encoder");
    let tokenizer = Tokenizer::open(&files).expect("the tokenizer should open");
    let mut encoder = alcazar_models::load_encoder(backend(), config, &files).expect("the model should load");
    let (sentences, expected) = reference();
    assert_eq!((sentences.len(), expected.len()), (500, 500));
    assert!(config.max_tokens() == MOST || Path::new(&path).is_file());
    let mut worst = 1f32;
    for (sentences, expected) in sentences.chunks(PACK).zip(expected.chunks(PACK)) {
        let mut batch = PackedBatch::default();
        for sentence in sentences {
            let text = tokenizer.encode_text(sentence, None, Some(MOST)).expect("it should tokenize");
            batch.push(&text.tokens, &text.types, &[]);
        }
        let found = encoder.forward(&batch).expect("it should run");
        for ((sentence, found), expected) in sentences.iter().zip(&found).zip(expected) {
            let cosine = cosine(found, expected);
            assert!(cosine >= 0.9999, "{cosine}: {sentence}");
            worst = worst.min(cosine);
        }
    }
    println!("smallest cosine: {worst}");
}
