//! All that an operator does: makes, mends, takes away.

use std::time::Duration;

use alcazar_crds::llm_model::LlmModel;
use alcazar_tests::{
    TestNamespace,
    apply::apply_yaml,
    kinds::deployments,
    kubelet,
    wait::{SHORT, wait_for},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

async fn merge(api: &Api<DynamicObject>, name: &str, patch: Value) {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("it should be patchable");
}

/// A second child of the same owner, as an older version could have left it: the operator takes it away.
async fn leave_behind(client: &Client, namespace: &TestNamespace, resource: &ApiResource, child: &str) {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace.name, resource);
    let mut stray = wait_for(child, SHORT, async || api.get(child).await.map_err(|error| error.to_string())).await;
    let (labels, owners) = (stray.metadata.labels.take(), stray.metadata.owner_references.take());
    stray.metadata = ObjectMeta {
        name: Some("stray".to_owned()),
        namespace: Some(namespace.name.clone()),
        labels,
        owner_references: owners,
        ..ObjectMeta::default()
    };
    stray.data["status"] = Value::Null;
    // What the API server gives once: addresses, a Job's selector.
    for field in ["clusterIP", "clusterIPs", "selector"] {
        if resource.kind == "Service" || resource.kind == "Job" {
            stray.data["spec"][field] = Value::Null;
        }
    }
    if resource.kind == "Job" {
        stray.data["spec"]["template"]["metadata"] = Value::Null;
    }
    api.create(&PostParams::default(), &stray).await.unwrap_or_else(|error| panic!("a stray {child}: {error}"));
    wait_for("the stray child to go", SHORT, async || match api.get_opt("stray").await {
        Ok(None) => Ok(()),
        Ok(Some(left)) if left.metadata.deletion_timestamp.is_some() => Ok(()),
        other => Err(format!("{}: {:?}", resource.kind, other.map(|found| found.is_some()))),
    })
    .await;
}

async fn leave_all_behind(client: &Client, namespace: &TestNamespace) {
    let jobs: Vec<Job> = namespace.api::<Job>().list(&ListParams::default()).await.expect("Jobs").items;
    let job = jobs.first().map(kube::ResourceExt::name_any).expect("there should be a fetch Job");
    for (resource, child) in [
        (ApiResource::erase::<Deployment>(&()), "d"),
        (ApiResource::erase::<Service>(&()), "d"),
        (ApiResource::erase::<ServiceAccount>(&()), "d"),
        (ApiResource::erase::<NetworkPolicy>(&()), "d-serve"),
        (ApiResource::erase::<PersistentVolumeClaim>(&()), "d-weights"),
        (ApiResource::erase::<Job>(&()), job.as_str()),
        (ApiResource::erase::<LlmModel>(&()), "d"),
    ] {
        leave_behind(client, namespace, &resource, child).await;
    }
}

/// Takes the operator through what it does in its life.
pub(super) async fn live(client: &Client, namespace: &TestNamespace) {
    let source = "source: {huggingFace: {repo: a/b, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}}";
    let yaml = format!(
        "apiVersion: alcazar.dev/v1alpha1\nkind: LlmDeployment\nmetadata: {{name: d}}\n\
         spec: {{model: {{{source}}}, access: {{mode: Direct}}, replicas: 2}}\n---\n\
         apiVersion: alcazar.dev/v1alpha1\nkind: LlmApiKey\nmetadata: {{name: k}}\nspec: {{secretName: k-key, owner: o}}\n---\n\
         apiVersion: alcazar.dev/v1alpha1\nkind: LlmVpnPeer\nmetadata: {{name: p}}\n\
         spec: {{publicKey: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=, address: 10.88.0.9, owner: o}}\n"
    );
    apply_yaml(client, &namespace.name, &yaml).await;
    kubelet::seal(namespace, "d", kubelet::DIGEST).await;
    kubelet::serve(namespace, "d", 2).await;
    let (secrets, budgets): (Api<Secret>, Api<PodDisruptionBudget>) = (namespace.api(), namespace.api());
    wait_for("the key's Secret", SHORT, async || secrets.get("k-key").await.map(|_| ()).map_err(|e| e.to_string()))
        .await;
    wait_for("the budget", SHORT, async || budgets.get("d").await.map(|_| ()).map_err(|e| e.to_string())).await;
    leave_all_behind(client, namespace).await;
    // Fewer replicas: the budget goes.
    merge(&deployments(namespace), "d", json!({"spec": {"replicas": 1}})).await;
    wait_for("the budget to go", SHORT, async || match budgets.get_opt("d").await {
        Ok(None) => Ok(()),
        other => Err(format!("{:?}", other.map(|found| found.is_some()))),
    })
    .await;
    deployments(namespace).delete("d", &DeleteParams::default()).await.expect("it should be deletable");
    tokio::time::sleep(Duration::from_secs(2)).await;
}
