//! The firewall, with real packets: what a model pod must not reach, and who may reach it.

use alcazar_tests::{
    Cluster, TestNamespace,
    kinds::{condition, deployments, wait_condition},
    pod::probe,
    wait::{LONG, wait_for},
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;

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
    let neighbour = neighbour(&namespace).await;
    let targets = [
        "kubernetes.default.svc.cluster.local:443",
        "alcazar-canary.alcazar-system.svc.cluster.local:8083",
        "10.96.0.1:443",
        "10.96.0.10:53",
        "10.88.0.1:10250",
        "169.254.169.254:80",
        &neighbour,
    ];
    let mut args = vec!["dial"];
    args.extend(targets);
    args.extend(["--timeout", "500ms", "--every", "200ms", "--for", "3s"]);
    // The same program, without the labels, proves that the targets can be reached at all.
    let free = probe(&namespace, "free", &[], &[&args[..], &["--expect", "open"]].concat()).await;
    for target in targets.iter().filter(|target| !target.starts_with("169.254.")) {
        let lines = free.output.lines().filter(|line| line.contains(&format!(r#""target":"{target}""#)));
        assert!(lines.clone().any(|line| line.contains(r#""ok":true"#)), "{target} should listen: {}", free.output);
    }
    // A policy engine learns of a new pod a moment late: what counts is that the last rounds are blocked.
    let outcome = probe(&namespace, "taken-over", &AS_MODEL_POD, &args).await;
    let last: Vec<_> = outcome.output.lines().rev().take(targets.len() * 2).collect();
    assert!(
        last.len() == targets.len() * 2 && last.iter().all(|line| line.contains(r#""ok":false"#)),
        "{}",
        outcome.output
    );
    let deployment = wait_condition(&deployments(&namespace), "assistant", "NetworkIsolated", "True", LONG).await;
    let isolated = condition(&deployment, "NetworkIsolated").expect("it should be told");
    for words in ["the operator's canary", "the API server", "a kubelet", "the cluster's DNS", "their model port"] {
        assert!(isolated.message.contains(words), "{words} should have been tried: {}", isolated.message);
    }
    namespace.close().await;
}

/// Another pod of the namespace, of a program that listens: the model pod's own probe port answers the operator alone, so a
/// pod of the tests is made. Its address and port.
async fn neighbour(namespace: &TestNamespace) -> String {
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "neighbour"},
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "probe", "image": "localhost/alcazar-test/probe:1", "args": ["listen", ":9000"],
                "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                    "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
            }],
        },
    });
    let pods = namespace.api::<Pod>();
    let pod: Pod = serde_json::from_value(pod).expect("the pod should be well formed");
    pods.create(&PostParams::default(), &pod).await.expect("the neighbour should be accepted");
    let address = wait_for("the neighbour to run", LONG, async || {
        let pod = pods.get("neighbour").await.map_err(|error| error.to_string())?;
        let status = pod.status.unwrap_or_default();
        status.pod_ip.filter(|_| status.phase.as_deref() == Some("Running")).ok_or_else(|| "not yet".to_owned())
    });
    format!("{}:9000", address.await)
}

/// By default the model port is the gateway's: its labels elsewhere open nothing, and its certificate is asked for.
#[tokio::test]
async fn without_the_gateway_nobody_gets_an_answer() {
    let cluster = Cluster::connect().await;
    let closed = served(&cluster, "closed", "assistant", "  access: {mode: Gateway}").await;
    let address = address(&closed).await;
    let dial = ["dial", &address, "--timeout", "700ms", "--every", "300ms", "--for", "2s", "--expect", "blocked"];
    for (pod, labels) in
        [("same-namespace", vec![]), ("disguised", vec![("app.kubernetes.io/name", "alcazar-gateway")])]
    {
        let outcome = probe(&closed, pod, &labels, &dial).await;
        assert_eq!(outcome.code, 0, "{pod} should find it blocked:\n{}", outcome.output);
    }
    closed.close().await;
}

#[tokio::test]
async fn nobody_but_the_allowed_peer_reaches_it() {
    let cluster = Cluster::connect().await;
    let callers = namespace(&cluster, "callers").await;
    let spec = format!(
        "  access: {{mode: Direct}}
  network:
    allowFrom:
    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}
      podSelector: {{matchLabels: {{role: app}}}}",
        callers.name
    );
    let namespace = served(&cluster, "ingress", "assistant", &spec).await;
    let address = address(&namespace).await;
    let dial = |expect: &'static str| {
        // Who is let in only after a policy engine has learnt of him needs more patience than who never is.
        let lasting = if expect == "open" { "6s" } else { "2s" };
        ["dial", &address, "--timeout", "700ms", "--every", "300ms", "--for", lasting, "--expect", expect]
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
