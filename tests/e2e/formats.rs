//! Models that are no GGUF of a decoder: from the mirror to an answer.

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{deployments, models, wait_condition, wait_reason},
    wait::LONG,
};
use serde_json::Value;

use crate::scenario::{REPO, ask, deployment, model, namespace};

async fn serve(namespace: &TestNamespace, repo: &str) {
    let text = deployment("tiny", "").replace(REPO, repo);
    apply_yaml(&namespace.client, &namespace.name, &text).await;
    wait_condition(&deployments(namespace), "tiny", "Ready", "True", LONG).await;
}

/// A BERT of several files in safetensors makes vectors, and says so when it is asked to write.
#[tokio::test]
async fn an_encoder_is_fetched_and_served() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "encoder").await;
    serve(&namespace, "tiny/bert").await;
    let body = r#"{"model":"tiny","input":["a","b"]}"#;
    let outcome = ask(&namespace, "embed", "tiny", "/v1/embeddings", body).await;
    let answer: Value = serde_json::from_str(&outcome.output).expect("the answer should be JSON");
    let width = |n: usize| answer["data"][n]["embedding"].as_array().map_or(0, Vec::len);
    assert_eq!((width(0), width(1)), (32, 32), "{}", outcome.output);
    let chat = r#"{"model":"tiny","messages":[{"role":"user","content":"x"}]}"#;
    let outcome = ask(&namespace, "chat", "tiny", "/v1/chat/completions", chat).await;
    assert!(outcome.code != 0 && outcome.output.contains("/v1/embeddings"), "{}", outcome.output);
    namespace.close().await;
}

/// A PyTorch checkpoint becomes safetensors once, before it is sealed; a file that would run code is refused by name.
#[tokio::test]
async fn a_pytorch_checkpoint_is_converted_and_served() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "pytorch").await;
    serve(&namespace, "tiny/pytorch").await;
    let body = r#"{"model":"tiny","prompt":[1,2,3],"max_tokens":4,"temperature":0,"ignore_eos":true}"#;
    let outcome = ask(&namespace, "complete", "tiny", "/v1/completions", body).await;
    assert!(outcome.code == 0 && outcome.output.contains(r#""completion_tokens":4"#), "{}", outcome.output);
    apply_yaml(&namespace.client, &namespace.name, &model("hostile", "tiny/hostile", "")).await;
    let message = wait_reason(&models(&namespace), "hostile", "Stalled", ("True", "UnsupportedModel"), LONG).await;
    assert!(message.contains("getcwd"), "what it would call should be named: {message}");
    namespace.close().await;
}
