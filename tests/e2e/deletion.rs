//! `kubectl delete` in every state leaves nothing behind, and the volume follows its retention.

use std::time::Duration;

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{deployments, models, wait_condition, wait_reason},
    wait::{LONG, wait_for},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde_json::json;

use crate::scenario::{deployment, model, namespace, served};

async fn names<K>(namespace: &TestNamespace) -> Vec<String>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=alcazar");
    let list = namespace.api::<K>().list(&ours).await.expect("the list should be readable");
    list.items.iter().map(|object| format!("{}/{}", K::kind(&K::DynamicType::default()), object.name_any())).collect()
}

async fn children(namespace: &TestNamespace) -> Vec<String> {
    [
        names::<Deployment>(namespace).await,
        names::<Job>(namespace).await,
        names::<Pod>(namespace).await,
        names::<Service>(namespace).await,
        names::<Secret>(namespace).await,
        names::<ServiceAccount>(namespace).await,
        names::<NetworkPolicy>(namespace).await,
        names::<PersistentVolumeClaim>(namespace).await,
    ]
    .concat()
}

async fn nothing_left_but(namespace: &TestNamespace, expected: &[&str]) {
    wait_for("the children to be gone", LONG, async || {
        let left = children(namespace).await;
        if left == expected { Ok(()) } else { Err(left.join(", ")) }
    })
    .await;
}

async fn delete_deployment(namespace: &TestNamespace) {
    deployments(namespace).delete("assistant", &DeleteParams::default()).await.expect("it should be deletable");
}

#[tokio::test]
async fn while_serving() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "del-serving", "assistant", "").await;
    delete_deployment(&namespace).await;
    nothing_left_but(&namespace, &[]).await;
    namespace.close().await;
}

#[tokio::test]
async fn while_fetching() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "del-fetching").await;
    apply_yaml(&cluster.client, &namespace.name, &deployment("assistant", "")).await;
    wait_for("the fetch Job", LONG, async || match names::<Job>(&namespace).await {
        jobs if jobs.is_empty() => Err("no Job".to_owned()),
        _ => Ok(()),
    })
    .await;
    delete_deployment(&namespace).await;
    nothing_left_but(&namespace, &[]).await;
    namespace.close().await;
}

#[tokio::test]
async fn while_rolling_out() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "del-rollout", "assistant", "").await;
    let patch = json!({"spec": {"podTemplate": {"annotations": {"example.com/revision": "2"}}}});
    deployments(&namespace)
        .patch("assistant", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("the change should be accepted");
    wait_for("the second pod", LONG, async || match names::<Pod>(&namespace).await {
        pods if pods.len() > 1 => Ok(()),
        pods => Err(pods.join(", ")),
    })
    .await;
    delete_deployment(&namespace).await;
    nothing_left_but(&namespace, &[]).await;
    namespace.close().await;
}

#[tokio::test]
async fn at_once_and_when_stalled() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "del-stalled").await;
    apply_yaml(&cluster.client, &namespace.name, &deployment("assistant", "")).await;
    delete_deployment(&namespace).await;
    nothing_left_but(&namespace, &[]).await;
    let missing = deployment("assistant", "").replace("HuggingFaceTB/SmolLM2-135M-Instruct", "nobody/nothing");
    apply_yaml(&cluster.client, &namespace.name, &missing).await;
    wait_reason(&models(&namespace), "assistant", "Stalled", ("True", "SourceUnauthorized"), LONG).await;
    delete_deployment(&namespace).await;
    nothing_left_but(&namespace, &[]).await;
    namespace.close().await;
}

/// A retained volume outlives its model and is taken up again without a second download.
#[tokio::test]
async fn a_retained_volume_stays_and_is_adopted() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "del-retain").await;
    let text = model("kept", crate::scenario::REPO, "").replace("{size: 1Gi}", "{size: 1Gi, retention: Retain}");
    apply_yaml(&cluster.client, &namespace.name, &text).await;
    let first = wait_condition(&models(&namespace), "kept", "Ready", "True", LONG).await;
    models(&namespace).delete("kept", &DeleteParams::default()).await.expect("it should be deletable");
    nothing_left_but(&namespace, &["PersistentVolumeClaim/kept-weights"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    apply_yaml(&cluster.client, &namespace.name, &text).await;
    let again = wait_condition(&models(&namespace), "kept", "Ready", "True", LONG).await;
    assert_eq!(first.data["status"]["digest"], again.data["status"]["digest"]);
    namespace.close().await;
}
