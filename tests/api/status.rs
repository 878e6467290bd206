//! Every cause that the cluster shows becomes a reason and a sentence with the mend.

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{condition, deployments, models, wait_reason},
    kubelet::{DIGEST, fail, seal},
    operator::Operator,
    wait::{SHORT, wait_for},
};

const OTHER: &str = "sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn model(more: &str) -> String {
    format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmModel
metadata: {{name: m}}
spec:
{more}
  source:
    huggingFace: {{repo: a/b, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}}
"
    )
}

/// The first status comes at once, before any child could be judged, and says that work goes on.
#[tokio::test]
async fn the_first_status_is_written_at_once() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "first").await;
    let _operator = Operator::start(&cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, &model("")).await;
    let object = wait_for("the first status", SHORT, async || {
        let object = models(&namespace).get("m").await.map_err(|error| error.to_string())?;
        if object.data["status"]["observedGeneration"] == 1 {
            Ok(object)
        } else {
            Err(object.data["status"].to_string())
        }
    })
    .await;
    assert_eq!(condition(&object, "Reconciling").map(|seen| seen.status), Some("True".to_owned()), "{}", object.data);
    assert!(condition(&object, "Ready").is_some_and(|seen| seen.status != "True"), "{}", object.data);
    namespace.close().await;
}

#[tokio::test]
async fn a_failed_fetch_is_told_in_its_own_words() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "failed").await;
    let _operator = Operator::start(&cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, &model("")).await;
    fail(&namespace, "m", "SourceForbidden", "the hub refused a/b (403): accept its licence").await;
    let message = wait_reason(&models(&namespace), "m", "Stalled", ("True", "SourceForbidden"), SHORT).await;
    assert!(message.contains("accept its licence"), "{message}");
    namespace.close().await;
}

/// A change that fails leaves the digest that was sealed before.
#[tokio::test]
async fn a_failed_change_keeps_what_was_sealed() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "keeps").await;
    let _operator = Operator::start(&cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, &model("")).await;
    seal(&namespace, "m", DIGEST).await;
    alcazar_tests::kinds::wait_condition(&models(&namespace), "m", "Ready", "True", SHORT).await;
    apply_yaml(&cluster.client, &namespace.name, &model(&format!("  digest: {OTHER}"))).await;
    fail(&namespace, "m", "DigestMismatch", &format!("found {DIGEST}, expected {OTHER}")).await;
    wait_reason(&models(&namespace), "m", "Stalled", ("True", "DigestMismatch"), SHORT).await;
    let object = models(&namespace).get("m").await.expect("the model should exist");
    assert_eq!(object.data["status"]["digest"], DIGEST);
    namespace.close().await;
}

#[tokio::test]
async fn a_model_that_does_not_exist_is_named() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "nomodel").await;
    let _operator = Operator::start(&cluster, &namespace);
    let text = "apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {name: assistant}
spec: {modelName: elsewhere}
";
    apply_yaml(&cluster.client, &namespace.name, text).await;
    let message =
        wait_reason(&deployments(&namespace), "assistant", "ModelReady", ("False", "ModelNotFound"), SHORT).await;
    assert!(message.contains("elsewhere"), "{message}");
    apply_yaml(&cluster.client, &namespace.name, &model("").replace("name: m}", "name: elsewhere}")).await;
    wait_reason(&deployments(&namespace), "assistant", "ModelReady", ("False", "ModelNotReady"), SHORT).await;
    seal(&namespace, "elsewhere", DIGEST).await;
    alcazar_tests::kinds::wait_condition(&deployments(&namespace), "assistant", "ModelReady", "True", SHORT).await;
    namespace.close().await;
}

/// Without a node every pod is unschedulable: that must be seen in the deployment itself.
#[tokio::test]
async fn a_pod_that_finds_no_node_is_told() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "nonode").await;
    let _operator = Operator::start(&cluster, &namespace);
    let text = model("");
    apply_yaml(&cluster.client, &namespace.name, &text).await;
    seal(&namespace, "m", DIGEST).await;
    let text = "apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {name: assistant}
spec: {modelName: m}
";
    apply_yaml(&cluster.client, &namespace.name, text).await;
    let message =
        wait_reason(&deployments(&namespace), "assistant", "Scheduled", ("False", "Unschedulable"), SHORT).await;
    assert!(!message.is_empty());
    namespace.close().await;
}

/// A quota on pods is told with its numbers.
#[tokio::test]
async fn a_quota_is_told() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "podquota").await;
    let _operator = Operator::start(&cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, &model("")).await;
    seal(&namespace, "m", DIGEST).await;
    let text = "apiVersion: v1
kind: ResourceQuota
metadata: {name: none}
spec: {hard: {requests.memory: 1Mi}}
---
apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {name: assistant}
spec: {modelName: m}
";
    apply_yaml(&cluster.client, &namespace.name, text).await;
    let message = wait_reason(&deployments(&namespace), "assistant", "Ready", ("False", "QuotaExceeded"), SHORT).await;
    assert!(message.contains("requests.memory"), "{message}");
    namespace.close().await;
}
