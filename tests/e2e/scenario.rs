//! What the node tests start from: a served model, and requests to it through its Service.

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{deployments, wait_condition},
    pod::{Outcome, probe},
    wait::LONG,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};

/// The repository of the mirror that holds the real model.
pub(crate) const REPO: &str = "HuggingFaceTB/SmolLM2-135M-Instruct";
/// Its pinned commit.
pub(crate) const REVISION: &str = "12fd25f77366fa6b3b4b768ec3050bf629380bac";

/// YAML of a deployment with an inline model, and more lines below `spec`. It answers without a gateway unless they say
/// how to come to it.
pub(crate) fn deployment(name: &str, spec: &str) -> String {
    let access = if spec.contains("access:") { "" } else { "  access: {mode: Direct}\n" };
    format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {{name: {name}}}
spec:
  resources: {{cpu: 500m, memory: 600Mi}}
{access}{spec}
  model:
    storage: {{size: 1Gi}}
    source:
      huggingFace: {{repo: {REPO}, revision: {REVISION}}}
"
    )
}

/// YAML of a model alone, from a repository of the mirror.
pub(crate) fn model(name: &str, repo: &str, spec: &str) -> String {
    format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmModel
metadata: {{name: {name}}}
spec:
  storage: {{size: 1Gi}}
{spec}
  source:
    huggingFace: {{repo: {repo}, revision: {REVISION}}}
"
    )
}

/// A namespace with the operator's CA in it, as an application that calls a model has.
pub(crate) async fn namespace(cluster: &Cluster, purpose: &str) -> TestNamespace {
    let namespace = TestNamespace::create(&cluster.client, purpose).await;
    let ours = Api::<ConfigMap>::namespaced(cluster.client.clone(), "alcazar-system");
    let bundle = ours.get("alcazar-ca").await.expect("the operator should publish its CA");
    let mut copy = ConfigMap { data: bundle.data, ..ConfigMap::default() };
    copy.metadata.name = Some("alcazar-ca".to_owned());
    namespace.api::<ConfigMap>().create(&PostParams::default(), &copy).await.expect("the CA should be copyable");
    namespace
}

/// Applies a deployment named `name` with an inline model.
pub(crate) async fn apply_deployment(namespace: &TestNamespace, name: &str, spec: &str) {
    apply_yaml(&namespace.client, &namespace.name, &deployment(name, spec)).await;
}

/// A served model named `name` in a namespace of its own.
pub(crate) async fn served(cluster: &Cluster, purpose: &str, name: &str, spec: &str) -> TestNamespace {
    let namespace = namespace(cluster, purpose).await;
    apply_yaml(&cluster.client, &namespace.name, &deployment(name, spec)).await;
    wait_condition(&deployments(&namespace), name, "Ready", "True", LONG).await;
    namespace
}

/// Asks `name` through its Service from a pod of the same namespace; a GET when `body` is empty.
pub(crate) async fn ask(namespace: &TestNamespace, pod: &str, name: &str, route: &str, body: &str) -> Outcome {
    let url = format!("https://{name}.{}.svc{route}", namespace.name);
    let mut args = vec!["get", &url, "--ca", "/ca/ca.crt", "--timeout", "80s", "--retry-refused", "10s"];
    if !body.is_empty() {
        args.extend(["--data", body]);
    }
    probe(namespace, pod, &[], &args).await
}
