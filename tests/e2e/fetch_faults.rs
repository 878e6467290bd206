//! What comes from the network is not trusted: every way a source can fail has its reason and its mend, and seals nothing.

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{models, wait_condition, wait_reason},
    wait::LONG,
};

use crate::scenario::{REPO, REVISION, model, namespace};

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
    let absent = "0".repeat(40);
    let text = model("revision", REPO, "").replace(REVISION, &absent);
    apply_yaml(&namespace.client, &namespace.name, &text).await;
    let message = wait_reason(&models(&namespace), "revision", "Stalled", ("True", "SourceNotFound"), LONG).await;
    assert!(message.contains(&absent), "what was not found should be named: {message}");
    namespace.close().await;
}

#[tokio::test]
async fn bytes_that_are_not_the_promised_ones() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "promised").await;
    // One byte differs from what the hub's own listing says.
    stalls(&namespace, "flipped", "faults/wrong-digest", "DigestMismatch", &["model.gguf"]).await;
    // A redirect to where no source may lead, although the first host is allowed.
    stalls(&namespace, "lured", "faults/metadata-redirect", "SourceNotAllowed", &["169.254.169.254"]).await;
    // A file with a sha256 of its own.
    let wrong = "0".repeat(64);
    let source = format!(
        "http: {{files: [{{url: 'http://hub.hub.svc/files/faults/tiny-llama/{REVISION}/model.gguf', sha256: '{wrong}', \
         path: model.gguf}}]}}"
    );
    let text = model("hashed", "x/y", "");
    let (before, _) = text.split_once("huggingFace:").expect("the model should have a source");
    apply_yaml(&namespace.client, &namespace.name, &format!("{before}{source}\n")).await;
    let message = wait_reason(&models(&namespace), "hashed", "Stalled", ("True", "DigestMismatch"), LONG).await;
    assert!(message.contains(&wrong) && message.contains("model.gguf"), "both digests should be named: {message}");
    namespace.close().await;
}

/// A source that stumbles is tried again, and goes on where it broke off.
#[tokio::test]
async fn a_source_that_stumbles_is_good_enough() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "stumbles").await;
    for (name, repo) in [("flaky", "faults/flaky"), ("resumable", "faults/resumable")] {
        apply_yaml(&namespace.client, &namespace.name, &model(name, repo, "")).await;
    }
    for name in ["flaky", "resumable"] {
        wait_condition(&models(&namespace), name, "Ready", "True", LONG).await;
    }
    namespace.close().await;
}

/// A source that breaks off at the same byte each time is told with how far it came, and is tried again later.
#[tokio::test]
async fn a_download_that_is_cut_for_good() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "cut").await;
    apply_yaml(&cluster.client, &namespace.name, &model("short", "faults/short", "")).await;
    let message = wait_reason(&models(&namespace), "short", "Ready", ("False", "SourceUnreachable"), LONG).await;
    assert!(message.contains("40000 of 76000 bytes"), "how far it came should be told: {message}");
    let status = models(&namespace).get("short").await.expect("the model should exist").data["status"].clone();
    assert!(status["digest"].as_str().is_none_or(str::is_empty), "nothing may be sealed: {status}");
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
