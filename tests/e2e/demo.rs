//! The demo's promise: one YAML, one private answer.

use alcazar_tests::{
    Cluster,
    cluster::repo,
    kinds::{condition, deployments, models},
};

use crate::scenario::{ask, served};

/// The text of a stream of chat chunks.
fn streamed_text(output: &str) -> String {
    output
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

/// `examples/assistant.yaml` names its namespace; `run.sh` applied it through `make demo`'s own script.
#[tokio::test]
async fn the_demo_ended_with_an_answer() {
    let log = std::fs::read_to_string(repo("target/demo.log")).expect("tests/e2e/run.sh should have run the demo");
    assert!(log.contains("Paris"), "the demo's answer should name Paris:\n{log}");
}

#[tokio::test]
async fn a_question_is_answered_through_the_service() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "answer", "assistant", "").await;
    let body = r#"{"model":"assistant","stream":true,"temperature":0,"max_tokens":32,
        "messages":[{"role":"user","content":"What is the capital of France? Answer in one sentence."}]}"#;
    let outcome = ask(&namespace, "ask", "assistant", "/v1/chat/completions", body).await;
    assert_eq!(outcome.code, 0, "{}", outcome.output);
    assert!(streamed_text(&outcome.output).contains("Paris"), "{}", outcome.output);
    assert!(outcome.output.contains("data: [DONE]"), "{}", outcome.output);
    namespace.close().await;
}

#[tokio::test]
async fn status_tells_what_serves_where() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "status", "assistant", "  access: {mode: Gateway}").await;
    // Ready, so it is proven, and stays so.
    let deployment = deployments(&namespace).get("assistant").await.expect("the deployment should be there");
    assert_eq!(condition(&deployment, "NetworkIsolated").map(|seen| seen.status), Some("True".to_owned()));
    let model = models(&namespace).get("assistant").await.expect("the inline model should have been made");
    let status = &deployment.data["status"];
    assert_eq!(status["readyReplicas"], 1, "{status}");
    assert_eq!(status["endpoint"], "https://alcazar-gateway.alcazar-system.svc/v1");
    assert_eq!(status["modelDigest"], model.data["status"]["digest"]);
    assert_eq!(model.data["status"]["sizeBytes"], 98_362_432);
    assert_eq!(model.data["status"]["architecture"], "llama");
    assert!(condition(&deployment, "Stalled").is_none() && condition(&deployment, "Reconciling").is_none(), "{status}");
    namespace.close().await;
}
