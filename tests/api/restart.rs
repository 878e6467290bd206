//! An operator that starts anew finds everything as it is to be, and writes nothing.

use std::{collections::BTreeMap, time::Duration};

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{deployments, models, wait_condition},
    kubelet::{DIGEST, seal, serve},
    operator::Operator,
    wait::{SHORT, stays, wait_for},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Secret, Service},
};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::reconcile::{ASSISTANT, versions};

const OTHERS: &str = "apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {name: second}
spec: {modelName: assistant, replicas: 2}
---
apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {name: third}
spec: {modelName: assistant, network: {isolation: BestEffort}}
---
apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {name: waiting}
spec: {modelName: nowhere}
";

/// Resource versions of all that the operator writes: children, Secrets, and its own kinds with their status.
async fn everything(namespace: &TestNamespace) -> BTreeMap<String, String> {
    let mut seen = versions(namespace).await;
    for (kind, api) in [("LlmDeployment", deployments(namespace)), ("LlmModel", models(namespace))] {
        for object in api.list(&ListParams::default()).await.expect("the list should be readable") {
            seen.insert(format!("{kind}/{}", object.name_any()), object.resource_version().unwrap_or_default());
        }
    }
    for secret in namespace.api::<Secret>().list(&ListParams::default()).await.expect("the list should be readable") {
        seen.insert(format!("Secret/{}", secret.name_any()), secret.resource_version().unwrap_or_default());
    }
    seen
}

async fn at_rest(namespace: &TestNamespace) -> BTreeMap<String, String> {
    let mut last = everything(namespace).await;
    wait_for("rest", Duration::from_secs(40), async || {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let now = everything(namespace).await;
        let same = now == last;
        last = now;
        if same { Ok(()) } else { Err("still writing".to_owned()) }
    })
    .await;
    last
}

#[tokio::test]
async fn a_restart_writes_nothing() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "restart").await;
    let operator = Operator::start(&cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, ASSISTANT).await;
    apply_yaml(&cluster.client, &namespace.name, OTHERS).await;
    seal(&namespace, "assistant", DIGEST).await;
    wait_condition(&models(&namespace), "assistant", "Ready", "True", SHORT).await;
    for (name, pods) in [("assistant", 1), ("second", 2), ("third", 1)] {
        serve(&namespace, name, pods).await;
        wait_condition(&deployments(&namespace), name, "Rolledout", "True", SHORT).await;
    }
    let before = at_rest(&namespace).await;
    for child in ["Deployment/third", "PodDisruptionBudget/second", "Secret/second-tls", "Secret/waiting-tls"] {
        assert!(before.contains_key(child), "{child} is missing in {:?}", before.keys());
    }
    operator.kill();
    let _second = Operator::start(&cluster, &namespace);
    let begun = std::time::Instant::now();
    stays("every child and status", Duration::from_secs(10), async || {
        let now = everything(&namespace).await;
        let changed: Vec<_> = now.iter().filter(|(name, version)| before.get(*name) != Some(*version)).collect();
        if now == before { Ok(()) } else { Err(format!("changed: {changed:?}")) }
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(15), "the Lease of the first must not have to run out");
    it_works(&namespace).await;
    namespace.close().await;
}

/// That nothing was written must not be because nobody works.
async fn it_works(namespace: &TestNamespace) {
    let services = namespace.api::<Service>();
    let edit = json!({"metadata": {"labels": {"alcazar.dev/deployment": "stolen"}}});
    services.patch("assistant", &PatchParams::default(), &Patch::Merge(&edit)).await.expect("it should be edited");
    wait_for("the new operator to work", Duration::from_secs(2), async || {
        let service = services.get("assistant").await.map_err(|error| error.to_string())?;
        match service.labels().get("alcazar.dev/deployment") {
            Some(name) if name == "assistant" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let ours = namespace.api::<Deployment>().get("assistant").await.expect("the Deployment should exist");
    assert_eq!(ours.metadata.generation, Some(1), "no rollout");
}
