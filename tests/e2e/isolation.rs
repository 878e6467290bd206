//! The firewall, with real packets: what a model pod must not reach, and who may reach it.

use alcazar_tests::{
    Cluster, TestNamespace,
    kinds::{condition, deployments},
    pod::probe,
};

use crate::scenario::{namespace, served};

/// Labels that make a pod fall under the model pods' policy, as a taken-over model pod would.
const AS_MODEL_POD: [(&str, &str); 3] = [
    ("alcazar.dev/deployment", "assistant"),
    ("app.kubernetes.io/component", "model-server"),
    ("app.kubernetes.io/name", "alcazar-runtime"),
];

async fn address(namespace: &TestNamespace) -> String {
    let services = namespace.api::<k8s_openapi::api::core::v1::Service>();
    let service = services.get("assistant").await.expect("the Service should exist");
    let address = service.spec.and_then(|spec| spec.cluster_ip).expect("the Service should have an address");
    format!("{address}:443")
}

#[tokio::test]
async fn a_model_pod_reaches_nothing() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "egress", "assistant", "").await;
    let targets = ["kubernetes.default.svc.cluster.local:443", "10.96.0.1:443", "10.96.0.10:53", "169.254.169.254:80"];
    let mut args = vec!["dial"];
    args.extend(targets);
    args.extend(["--timeout", "500ms", "--every", "200ms", "--for", "3s"]);
    // The same program, without the labels, proves that the targets can be reached at all.
    let free = probe(&namespace, "free", &[], &[&args[..], &["--expect", "open"]].concat()).await;
    assert!(
        free.output.contains(r#""target":"10.96.0.1:443""#) && free.output.contains(r#""ok":true"#),
        "{}",
        free.output
    );
    // A policy engine learns of a new pod a moment late: what counts is that the last rounds are blocked.
    let outcome = probe(&namespace, "taken-over", &AS_MODEL_POD, &args).await;
    let last: Vec<_> = outcome.output.lines().rev().take(targets.len() * 2).collect();
    assert!(
        last.len() == targets.len() * 2 && last.iter().all(|line| line.contains(r#""ok":false"#)),
        "{}",
        outcome.output
    );
    let deployment = deployments(&namespace).get("assistant").await.expect("the deployment should exist");
    assert_eq!(condition(&deployment, "NetworkIsolated").map(|seen| seen.status), Some("True".to_owned()));
    namespace.close().await;
}

#[tokio::test]
async fn nobody_but_the_allowed_peer_reaches_it() {
    let cluster = Cluster::connect().await;
    let callers = namespace(&cluster, "callers").await;
    let spec = format!(
        "  network:
    allowFrom:
    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}
      podSelector: {{matchLabels: {{role: app}}}}",
        callers.name
    );
    let namespace = served(&cluster, "ingress", "assistant", &spec).await;
    let address = address(&namespace).await;
    let dial = |expect: &'static str| {
        ["dial", &address, "--timeout", "700ms", "--every", "300ms", "--for", "2s", "--expect", expect]
            .map(str::to_owned)
    };
    for (place, pod, labels, expect) in [
        (&callers, "allowed", vec![("role", "app")], "open"),
        (&callers, "other-role", vec![("role", "batch")], "blocked"),
        (&namespace, "same-namespace", vec![("role", "app")], "blocked"),
    ] {
        let args = dial(expect);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let outcome = probe(place, pod, &labels, &args).await;
        assert_eq!(outcome.code, 0, "{pod} should find it {expect}:\n{}", outcome.output);
    }
    namespace.close().await;
    callers.close().await;
}
