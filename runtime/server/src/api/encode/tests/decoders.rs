//! Decoders as encoders, behind the same routes (tests/reference/embedders.py).

use serde_json::{Value, json};

use super::{floats, refused};
use crate::test_support::encoders::{EncoderApp, fixtures};

fn serving(name: &str) -> EncoderApp {
    EncoderApp::serving(&format!("../embedders/{name}"))
}

async fn ok(test: &EncoderApp, path: &str, mut body: Value) -> Value {
    body["model"] = json!(test.app.model_name);
    super::ok(test, path, body).await
}

fn expected(name: &str) -> Value {
    let path = fixtures().with_file_name("embedders").join("expected.json");
    serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()[name].take()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[tokio::test]
async fn a_decoder_makes_the_vectors_of_sentence_transformers_with_its_prompt() {
    for name in ["qwen3", "qwen3-prompt"] {
        let (test, expected) = (serving(name), expected(name));
        let texts: Vec<&Value> = expected["texts"].as_array().unwrap().iter().collect();
        let input: Vec<&Value> = texts.iter().map(|text| &text["text"]).collect();
        let answer = ok(&test, "/v1/embeddings", json!({"input": input})).await;
        for (data, text) in answer["data"].as_array().unwrap().iter().zip(texts) {
            assert!(cosine(&floats(&data["embedding"]), &floats(&text["vector"])) > 0.99999, "{name}");
        }
    }
}

#[tokio::test]
async fn a_decoder_ranks_by_its_vectors_and_by_its_score() {
    let (test, expected) = (serving("qwen3"), expected("qwen3"));
    let vectors: Vec<_> = expected["texts"].as_array().unwrap().iter().map(|text| floats(&text["vector"])).collect();
    let body = json!({"query": "the cat sat", "documents": ["a hat 42", "s"]});
    let answer = ok(&test, "/v1/rerank", body.clone()).await;
    for result in answer["results"].as_array().unwrap() {
        let nth = if result["index"] == 0 { 1 } else { 3 };
        let score = result["relevance_score"].as_f64().unwrap();
        assert!((score - cosine(&vectors[0], &vectors[nth])).abs() < 1e-3, "{answer}");
    }
    let answer = ok(&serving("qwen2-rerank"), "/v1/rerank", body).await;
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_decoder_judges_the_last_token() {
    let (test, expected) = (serving("qwen3-classify"), expected("qwen3-classify"));
    let case = &expected["tokens"][1];
    let answer = ok(&test, "/v1/classify", json!({"input": [case["tokens"]]})).await;
    let found = floats(&answer["data"][0]["probs"]);
    let scores = floats(&case["rows"][0]);
    let sum: f64 = scores.iter().map(|score| score.exp()).sum();
    for (found, score) in found.iter().zip(&scores) {
        assert!((found - score.exp() / sum).abs() < 1e-2, "{answer}");
    }
    assert_eq!(answer["data"][0]["labels"][2]["label"], "cross");
    let body = json!({"model": test.app.model_name, "input": "a"});
    let (status, _, message) = refused(&test, "/v1/embeddings", body).await;
    assert!(status == 400 && message.contains("text-classification"), "{status} {message}");
}
