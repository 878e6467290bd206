//! Changes while people are being answered.

use std::time::Duration;

use alcazar_tests::{
    Cluster,
    kinds::{deployments, wait_condition, wait_reason},
    wait::{LONG, wait_for},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::scenario::{ask, served};

async fn pods(namespace: &alcazar_tests::TestNamespace) -> Vec<String> {
    let ours = ListParams::default().labels("alcazar.dev/deployment=assistant");
    let list = namespace.api::<Pod>().list(&ours).await.expect("the pods should be readable");
    list.items.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn a_rollout_cuts_no_stream() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "rollout", "assistant", "").await;
    let before = pods(&namespace).await;
    let body = r#"{"model":"assistant","stream":true,"max_tokens":150,"temperature":1,"seed":1,
        "messages":[{"role":"user","content":"Tell me a very long story about a castle."}]}"#;
    let stream = ask(&namespace, "listener", "assistant", "/v1/chat/completions", body);
    let change = async {
        wait_for("the stream to run", LONG, async || {
            let pod = namespace.api::<Pod>().get("listener").await.map_err(|error| error.to_string())?;
            match pod.status.and_then(|status| status.phase) {
                Some(phase) if phase == "Running" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        let patch = json!({"spec": {"podTemplate": {"annotations": {"example.com/revision": "2"}}}});
        deployments(&namespace)
            .patch("assistant", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the change should be accepted");
    };
    let (outcome, ()) = tokio::join!(stream, change);
    assert_eq!(outcome.code, 0, "{}", outcome.output);
    assert!(outcome.output.contains("data: [DONE]"), "the stream was cut:\n{}", outcome.output);
    wait_for("the old pod to be replaced", LONG, async || {
        let now = pods(&namespace).await;
        if now.len() == 1 && now != before { Ok(()) } else { Err(now.join(", ")) }
    })
    .await;
    wait_condition(&deployments(&namespace), "assistant", "Ready", "True", LONG).await;
    namespace.close().await;
}

/// New weights that are not what was signed for never replace those that serve.
#[tokio::test]
async fn a_wrong_digest_leaves_the_old_model_serving() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "mismatch", "assistant", "").await;
    let before = pods(&namespace).await;
    let wrong = format!("sha256:{}", "0".repeat(64));
    let patch = json!({"spec": {"model": {"digest": wrong}}});
    deployments(&namespace)
        .patch("assistant", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("the change should be accepted");
    let models = alcazar_tests::kinds::models(&namespace);
    let message = wait_reason(&models, "assistant", "Stalled", ("True", "DigestMismatch"), LONG).await;
    assert_eq!(message.matches("sha256:").count(), 2, "both digests should be named: {message}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(pods(&namespace).await, before, "the old pod should go on");
    let outcome = ask(&namespace, "still", "assistant", "/v1/models", "").await;
    assert_eq!(outcome.code, 0, "{}", outcome.output);
    namespace.close().await;
}

/// When the caller goes away its sequence stops: the pod reports nothing running.
#[tokio::test]
async fn a_caller_that_leaves_frees_the_model() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "leaves", "assistant", "").await;
    let url = format!("https://assistant.{}.svc/v1/chat/completions", namespace.name);
    let body = r#"{"model":"assistant","stream":true,"max_tokens":1500,"seed":1,
        "messages":[{"role":"user","content":"Count to ten thousand, slowly, in words."}]}"#;
    let args = ["get", &url, "--ca", "/ca/ca.crt", "--data", body, "--retry-refused", "10s", "--timeout", "6s"];
    let outcome = alcazar_tests::pod::probe(&namespace, "leaver", &[], &args).await;
    let (begun, ended) = (outcome.output.contains("data: "), outcome.output.contains("[DONE]"));
    assert!(begun && !ended, "the caller should have left in the middle: {}", outcome.output);
    wait_for("the model to be idle", Duration::from_secs(3), async || {
        let running = metric(&namespace, "vllm:num_requests_running").await;
        if running.contains(" 0") { Ok(()) } else { Err(running) }
    })
    .await;
    namespace.close().await;
}

/// One line of the model pod's metrics, read through the API server's pod proxy.
async fn metric(namespace: &alcazar_tests::TestNamespace, name: &str) -> String {
    let pod = pods(namespace).await.remove(0);
    let path = format!("/api/v1/namespaces/{}/pods/{pod}:8081/proxy/metrics", namespace.name);
    let request = http::Request::get(path).body(Vec::new()).expect("the path should be a URL");
    let text = namespace.client.request_text(request).await.expect("the metrics should be readable");
    text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned()
}
