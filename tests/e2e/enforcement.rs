//! A cluster whose enforcement of NetworkPolicies is missing, late or lost is found out. Runs alone: it takes the firewall
//! of all pods away.

use std::{process::Command, time::Duration};

use alcazar_tests::{
    Cluster, TestNamespace,
    cluster::repo,
    kinds::{condition, deployments, wait_condition, wait_reason},
    wait::{LONG, stays},
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};

use crate::scenario::{apply_deployment, ask, namespace, served};

/// Enforces otherwise, and as usual again at the latest when the test ends.
struct Enforcement;

impl Enforcement {
    fn off() -> Self {
        policy(&["off"]);
        Self
    }

    /// Learns of each new pod that much later.
    fn slow(delay: &str) -> Self {
        policy(&["on", "--delay", delay]);
        Self
    }
}

impl Drop for Enforcement {
    fn drop(&mut self) {
        policy(&["off"]);
        policy(&["on"]);
    }
}

fn policy(mode: &[&str]) {
    let done = Command::new(repo("tests/cluster/policy.sh")).args(mode).status().expect("policy.sh should run");
    assert!(done.success(), "policy.sh {mode:?} should succeed");
}

#[tokio::test]
async fn a_network_without_enforcement_is_found_out() {
    let cluster = Cluster::connect().await;
    let unenforced = Enforcement::off();

    let relaxed = served(&cluster, "best-effort", "assistant", "  network: {isolation: BestEffort}").await;
    let told =
        wait_reason(&deployments(&relaxed), "assistant", "NetworkIsolated", ("False", "IsolationBroken"), LONG).await;
    for words in ["the operator's canary at", "the API server at 10.96.0.1:443 (TCP, IPv4)", "the cluster's DNS"] {
        assert!(told.contains(words), "{words} should be named: {told}");
    }

    let strict = namespace(&cluster, "required").await;
    apply_deployment(&strict, "assistant", "").await;
    let told = wait_reason(&deployments(&strict), "assistant", "Ready", ("False", "IsolationBroken"), LONG).await;
    assert!(told.contains("network plugin"), "the mend should be named: {told}");
    stays("the strict deployment serving nothing", Duration::from_secs(3), async || {
        let object = deployments(&strict).get("assistant").await.map_err(|error| error.to_string())?;
        let ready = condition(&object, "Ready").map(|seen| seen.status);
        if ready.as_deref() == Some("False") { Ok(()) } else { Err(format!("Ready is {ready:?}")) }
    })
    .await;
    let refused = ask(&strict, "early", "assistant", "/v1/models", "").await;
    assert_ne!(refused.code, 0, "no endpoint may answer: {}", refused.output);
    let log = log(&strict).await;
    assert!(!log.contains("digest is being verified"), "not a byte of the weights may be read: {log}");

    drop(unenforced);
    for namespace in [&strict, &relaxed] {
        wait_condition(&deployments(namespace), "assistant", "NetworkIsolated", "True", LONG).await;
        wait_condition(&deployments(namespace), "assistant", "Ready", "True", LONG).await;
    }
    let answered = ask(&strict, "late", "assistant", "/v1/models", "").await;
    assert_eq!(answered.code, 0, "{}", answered.output);
    strict.close().await;
    relaxed.close().await;
}

/// What the pod of `assistant` has logged.
async fn log(namespace: &TestNamespace) -> String {
    let pods = namespace.api::<Pod>();
    let ours =
        ListParams::default().labels("alcazar.dev/deployment=assistant,app.kubernetes.io/component=model-server");
    let pod = pods.list(&ours).await.expect("the pods should be readable").items.remove(0);
    let name = pod.metadata.name.expect("a name");
    pods.logs(&name, &LogParams::default()).await.expect("the log should be readable")
}

/// An engine that learns of a pod only seconds after it runs: the pod waits, and nobody is alarmed for good.
#[tokio::test]
async fn enforcement_that_comes_late_is_waited_for() {
    let cluster = Cluster::connect().await;
    let slow = Enforcement::slow("3s");
    let namespace = served(&cluster, "slow", "assistant", "").await;
    wait_condition(&deployments(&namespace), "assistant", "NetworkIsolated", "True", LONG).await;
    let log = log(&namespace).await;
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("{words} is not in the log: {log}"));
    assert!(at("rounds in a row found every target") < at("isolation proven"), "it had to wait: {log}");
    assert!(at("isolation proven") < at("digest is being verified"), "no weights before the proof: {log}");
    drop(slow);
    namespace.close().await;
}

/// A pod that serves stops when the firewall is taken from it, and goes on once it is proven anew.
#[tokio::test]
async fn enforcement_that_is_lost_while_serving_is_found_out() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "lost", "assistant", "").await;
    let api = deployments(&namespace);
    wait_condition(&api, "assistant", "NetworkIsolated", "True", LONG).await;
    let unenforced = Enforcement::off();
    let told = wait_reason(&api, "assistant", "Ready", ("False", "IsolationBroken"), LONG).await;
    assert!(told.contains("the operator's canary"), "{told}");
    wait_condition(&api, "assistant", "NetworkIsolated", "False", LONG).await;
    let refused = ask(&namespace, "during", "assistant", "/v1/models", "").await;
    assert_ne!(refused.code, 0, "no endpoint may answer: {}", refused.output);
    drop(unenforced);
    wait_condition(&api, "assistant", "NetworkIsolated", "True", LONG).await;
    wait_condition(&api, "assistant", "Ready", "True", LONG).await;
    let answered = ask(&namespace, "after", "assistant", "/v1/models", "").await;
    assert_eq!(answered.code, 0, "{}", answered.output);
    namespace.close().await;
}

/// A policy of somebody else that opens the model port to the operator is told, and the pod goes on serving.
#[tokio::test]
async fn enforcement_with_a_hole_in_the_door_is_found_out() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "door", "assistant", "").await;
    let api = deployments(&namespace);
    wait_condition(&api, "assistant", "NetworkIsolated", "True", LONG).await;
    let hole = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: hole}
spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}
";
    alcazar_tests::apply::apply_yaml(&cluster.client, &namespace.name, hole).await;
    let told = wait_reason(&api, "assistant", "NetworkIsolated", ("False", "IsolationBroken"), LONG).await;
    assert!(told.contains(":8443 (TCP)") && told.contains("further policies"), "{told}");
    wait_condition(&api, "assistant", "Ready", "True", LONG).await;
    namespace.close().await;
}
