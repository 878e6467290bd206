//! Specs that the API server cannot judge and the operator must refuse, with a reason and a mend.

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{models, wait_reason},
    operator::Operator,
    wait::SHORT,
};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;

fn model(endpoint: &str) -> String {
    format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmModel
metadata: {{name: m}}
spec:
  source:
    huggingFace: {{endpoint: '{endpoint}', repo: a/b, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}}
"
    )
}

#[tokio::test]
async fn sources_inside_the_cluster_or_the_cloud_are_not_asked() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "sources").await;
    let _operator = Operator::start(&cluster, &namespace);
    for endpoint in [
        "http://169.254.169.254",
        "https://169.254.169.254",
        "https://localhost",
        "https://127.0.0.1",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "https://kubernetes.default.svc",
        "https://kubernetes",
        "https://10.96.0.1",
        "http://example.com",
    ] {
        apply_yaml(&cluster.client, &namespace.name, &model(endpoint)).await;
        let message = wait_reason(&models(&namespace), "m", "Stalled", ("True", "SourceNotAllowed"), SHORT).await;
        assert!(message.contains("allowedHosts") || message.contains("https"), "{endpoint}: {message}");
        let jobs = namespace.api::<Job>().list(&ListParams::default()).await.expect("the Jobs should be readable");
        assert!(jobs.items.is_empty(), "{endpoint}: a Job was made");
        models(&namespace).delete("m", &kube::api::DeleteParams::default()).await.expect("it should be deletable");
    }
    namespace.close().await;
}
