//! A cluster that does not enforce NetworkPolicies is found out. Runs alone: it takes the firewall of all pods away.

use std::process::Command;

use alcazar_tests::{
    Cluster,
    cluster::repo,
    kinds::{condition, deployments, wait_condition, wait_reason},
    wait::{LONG, stays},
};

use crate::scenario::{apply_deployment, ask, namespace, served};

/// Switches the enforcement off, and on again at the latest when the test ends.
struct Unenforced;

impl Unenforced {
    fn begin() -> Self {
        policy("off");
        Self
    }
}

impl Drop for Unenforced {
    fn drop(&mut self) {
        policy("on");
    }
}

fn policy(mode: &str) {
    let done = Command::new(repo("tests/cluster/policy.sh")).arg(mode).status().expect("policy.sh should run");
    assert!(done.success(), "policy.sh {mode} should succeed");
}

#[tokio::test]
async fn a_network_without_enforcement_is_found_out() {
    let cluster = Cluster::connect().await;
    let unenforced = Unenforced::begin();

    let relaxed = served(&cluster, "best-effort", "assistant", "  network: {isolation: BestEffort}").await;
    let told =
        wait_reason(&deployments(&relaxed), "assistant", "NetworkIsolated", ("False", "IsolationBroken"), LONG).await;
    assert!(told.contains("10.96.0.1:443"), "what was reached should be named: {told}");

    let strict = namespace(&cluster, "required").await;
    apply_deployment(&strict, "assistant", "").await;
    let told = wait_reason(&deployments(&strict), "assistant", "Ready", ("False", "IsolationBroken"), LONG).await;
    assert!(told.contains("network plugin"), "the mend should be named: {told}");
    stays("the strict deployment serving nothing", std::time::Duration::from_secs(3), async || {
        let object = deployments(&strict).get("assistant").await.map_err(|error| error.to_string())?;
        let ready = condition(&object, "Ready").map(|seen| seen.status);
        if ready.as_deref() == Some("False") { Ok(()) } else { Err(format!("Ready is {ready:?}")) }
    })
    .await;
    let refused = ask(&strict, "early", "assistant", "/v1/models", "").await;
    assert_ne!(refused.code, 0, "no endpoint may answer: {}", refused.output);

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
