//! What comes from the network is not trusted: every way a source can fail has its reason and its mend, and seals nothing.

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{models, wait_reason},
    wait::LONG,
};

use crate::scenario::{model, namespace};

/// The model of `repo` must end `Stalled` for `reason`, with a message that holds `told`.
async fn stalls(namespace: &TestNamespace, name: &str, repo: &str, reason: &str, told: &[&str]) {
    apply_yaml(&namespace.client, &namespace.name, &model(name, repo, "")).await;
    let message = wait_reason(&models(namespace), name, "Stalled", ("True", reason), LONG).await;
    for part in told {
        assert!(message.to_lowercase().contains(&part.to_lowercase()), "{repo}: '{part}' should be in: {message}");
    }
    let status = models(namespace).get(name).await.expect("the model should exist").data["status"].clone();
    assert!(status["digest"].as_str().is_none_or(str::is_empty), "{repo}: nothing may be sealed: {status}");
}

#[tokio::test]
async fn files_that_are_no_model() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "no-model").await;
    stalls(&namespace, "cut-off", "faults/truncated-gguf", "InvalidModel", &[".gguf"]).await;
    stalls(&namespace, "absurd", "faults/absurd-dimensions", "InvalidModel", &[".gguf"]).await;
    stalls(&namespace, "unknown", "faults/unsupported-architecture", "UnsupportedModel", &["llama"]).await;
    stalls(&namespace, "html", "faults/html-instead", "InvalidModel", &["HTML"]).await;
    namespace.close().await;
}

#[tokio::test]
async fn a_source_that_refuses() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "refusing").await;
    stalls(&namespace, "gated", "faults/gated", "SourceUnauthorized", &["tokenSecretName"]).await;
    stalls(&namespace, "forbidden", "faults/forbidden", "SourceForbidden", &[]).await;
    // A hub does not tell strangers whether a repository exists.
    stalls(&namespace, "missing", "nobody/nothing", "SourceUnauthorized", &["does not exist"]).await;
    namespace.close().await;
}

/// Hosts outside the allow-list are never asked: no Job is even made.
#[tokio::test]
async fn a_host_that_is_not_allowed() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "not-allowed").await;
    for (name, endpoint) in [
        ("metadata", "http://169.254.169.254"),
        ("cluster", "http://kubernetes.default.svc"),
        ("private", "https://10.96.0.1"),
    ] {
        let text = model(name, crate::scenario::REPO, "")
            .replace("huggingFace: {", &format!("huggingFace: {{endpoint: '{endpoint}', "));
        apply_yaml(&cluster.client, &namespace.name, &text).await;
        let message = wait_reason(&models(&namespace), name, "Stalled", ("True", "SourceNotAllowed"), LONG).await;
        assert!(message.contains("allowedHosts"), "the mend should be named: {message}");
    }
    let jobs = namespace.api::<k8s_openapi::api::batch::v1::Job>().list(&kube::api::ListParams::default()).await;
    assert!(jobs.expect("the Jobs should be readable").items.is_empty(), "no Job may be made");
    namespace.close().await;
}
