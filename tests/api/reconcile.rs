//! What the operator writes: once, only when needed, and back when somebody else changed it.

use std::{collections::BTreeMap, time::Duration};

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{condition, deployments, models, wait_condition, wait_reason},
    kubelet::{DIGEST, seal},
    operator::Operator,
    wait::{SHORT, stays, wait_for},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde_json::{Value, json};

pub(crate) const ASSISTANT: &str = "apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {name: assistant}
spec:
  model:
    source:
      huggingFace: {repo: HuggingFaceTB/SmolLM2-135M-Instruct, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}
";

async fn versions_of<K>(namespace: &TestNamespace, seen: &mut BTreeMap<String, String>)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=alcazar");
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    for object in namespace.api::<K>().list(&ours).await.expect("the list should be readable") {
        seen.insert(format!("{kind}/{}", object.name_any()), object.resource_version().unwrap_or_default());
    }
}

/// Resource versions of every child; a write by anybody shows as a difference.
pub(crate) async fn versions(namespace: &TestNamespace) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    versions_of::<Deployment>(namespace, &mut seen).await;
    versions_of::<Service>(namespace, &mut seen).await;
    versions_of::<ServiceAccount>(namespace, &mut seen).await;
    versions_of::<NetworkPolicy>(namespace, &mut seen).await;
    versions_of::<PodDisruptionBudget>(namespace, &mut seen).await;
    versions_of::<PersistentVolumeClaim>(namespace, &mut seen).await;
    versions_of::<Job>(namespace, &mut seen).await;
    seen
}

async fn statuses(namespace: &TestNamespace) -> [Value; 2] {
    let deployment = deployments(namespace).get("assistant").await.expect("the deployment should exist");
    let model = models(namespace).get("assistant").await.expect("the model should exist");
    [deployment.data["status"].clone(), model.data["status"].clone()]
}

/// An assistant whose model is sealed and whose Deployment is there, and everything at rest.
pub(crate) async fn settled(cluster: &Cluster, purpose: &str) -> (TestNamespace, Operator) {
    let namespace = TestNamespace::create(&cluster.client, purpose).await;
    let operator = Operator::start(cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, ASSISTANT).await;
    seal(&namespace, "assistant", DIGEST).await;
    wait_for("the Deployment", SHORT, async || {
        namespace.api::<Deployment>().get("assistant").await.map_err(|error| error.to_string())
    })
    .await;
    wait_condition(&models(&namespace), "assistant", "Ready", "True", SHORT).await;
    at_rest(&namespace).await;
    (namespace, operator)
}

/// Waits until nothing has been written for a second and a half.
async fn at_rest(namespace: &TestNamespace) {
    let mut last = (versions(namespace).await, statuses(namespace).await);
    wait_for("rest", Duration::from_secs(30), async || {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let now = (versions(namespace).await, statuses(namespace).await);
        let same = now == last;
        last = now;
        if same { Ok(()) } else { Err("still writing".to_owned()) }
    })
    .await;
}

#[tokio::test]
async fn one_yaml_makes_every_child() {
    let cluster = Cluster::connect().await;
    let (namespace, _operator) = settled(&cluster, "children").await;
    let children: Vec<_> = versions(&namespace).await.into_keys().collect();
    for expected in [
        "Deployment/assistant",
        "NetworkPolicy/assistant-fetch",
        "NetworkPolicy/assistant-serve",
        "PersistentVolumeClaim/assistant-weights",
        "Service/assistant",
        "Service/assistant-pods",
        "ServiceAccount/assistant",
        "ServiceAccount/assistant-fetch",
    ] {
        assert!(children.iter().any(|child| child == expected), "{expected} is missing in {children:?}");
    }
    namespace.close().await;
}

#[tokio::test]
async fn reconciling_again_writes_nothing() {
    let cluster = Cluster::connect().await;
    let (namespace, _operator) = settled(&cluster, "again").await;
    let before = (versions(&namespace).await, statuses(&namespace).await);
    let note = json!({"metadata": {"annotations": {"example.com/note": "hello"}}});
    for api in [deployments(&namespace), models(&namespace)] {
        api.patch("assistant", &PatchParams::default(), &Patch::Merge(&note)).await.expect("it should be annotated");
    }
    stays("every child and status", Duration::from_secs(3), async || {
        let now = (versions(&namespace).await, statuses(&namespace).await);
        if now == before { Ok(()) } else { Err(format!("{before:?}\nbecame\n{now:?}")) }
    })
    .await;
    namespace.close().await;
}

#[tokio::test]
async fn edits_of_owned_fields_are_undone() {
    let cluster = Cluster::connect().await;
    let (namespace, _operator) = settled(&cluster, "drift").await;
    let deployments = namespace.api::<Deployment>();
    let image = |deployment: &Deployment| {
        deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.template.spec.as_ref())
            .and_then(|pod| pod.containers[0].image.clone())
    };
    let ours = image(&deployments.get("assistant").await.expect("the Deployment should exist"));
    let container = &json!({"name": "runtime", "image": "evil:latest"});
    let edit = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    deployments
        .patch("assistant", &PatchParams::default(), &Patch::Strategic(edit))
        .await
        .expect("it should be edited");
    wait_for("the image to be ours again", Duration::from_secs(2), async || {
        let deployment = deployments.get("assistant").await.map_err(|error| error.to_string())?;
        if image(&deployment) == ours { Ok(()) } else { Err(format!("{:?}", image(&deployment))) }
    })
    .await;
    let policies = namespace.api::<NetworkPolicy>();
    let open = json!({"spec": {"egress": [{}]}});
    policies.patch("assistant-serve", &PatchParams::default(), &Patch::Merge(open)).await.expect("it should be edited");
    wait_for("the firewall to be closed again", Duration::from_secs(2), async || {
        let policy = policies.get("assistant-serve").await.map_err(|error| error.to_string())?;
        let rules = policy.spec.and_then(|spec| spec.egress).unwrap_or_default();
        if rules.is_empty() { Ok(()) } else { Err(format!("{rules:?}")) }
    })
    .await;
    policies.delete("assistant-serve", &DeleteParams::default()).await.expect("it should be deletable");
    wait_for("the firewall to be back", Duration::from_secs(2), async || {
        policies.get("assistant-serve").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    namespace.close().await;
}

#[tokio::test]
async fn what_is_not_wanted_any_more_goes() {
    let cluster = Cluster::connect().await;
    let (namespace, _operator) = settled(&cluster, "orphan").await;
    let budgets = namespace.api::<PodDisruptionBudget>();
    for (replicas, wanted) in [(2, true), (1, false)] {
        let patch = json!({"spec": {"replicas": replicas}});
        deployments(&namespace)
            .patch("assistant", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("it should scale");
        wait_for("the budget to follow the replicas", SHORT, async || {
            let there = budgets.get_opt("assistant").await.map_err(|error| error.to_string())?.is_some();
            if there == wanted { Ok(()) } else { Err(format!("there: {there}")) }
        })
        .await;
    }
    namespace.close().await;
}

#[tokio::test]
async fn what_belongs_to_others_is_left_alone() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "conflict").await;
    let foreign = "apiVersion: v1
kind: Service
metadata: {name: assistant, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: theirs, uid: 5a0e5c5e-0000-4000-8000-000000000001, controller: true}]}
spec: {selector: {app: theirs}, ports: [{port: 80}]}
";
    // The owner must exist, or the garbage collector removes the Service.
    let made = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\n";
    apply_yaml(&cluster.client, &namespace.name, made).await;
    let owner =
        namespace.api::<k8s_openapi::api::core::v1::ConfigMap>().get("theirs").await.expect("the owner should exist");
    let foreign = foreign.replace("5a0e5c5e-0000-4000-8000-000000000001", &owner.uid().unwrap_or_default());
    apply_yaml(&cluster.client, &namespace.name, &foreign).await;
    let before = namespace.api::<Service>().get("assistant").await.expect("the Service should exist");
    let _operator = Operator::start(&cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, ASSISTANT).await;
    let message = wait_reason(&deployments(&namespace), "assistant", "Stalled", ("True", "NameConflict"), SHORT).await;
    assert!(message.contains("Service") && message.contains("assistant"), "{message}");
    let after = namespace.api::<Service>().get("assistant").await.expect("the Service should exist");
    assert_eq!(before.resource_version(), after.resource_version());
    namespace.close().await;
}

/// Secrets are not in any cache: the operator learns from the write itself that there is one.
#[tokio::test]
async fn a_secret_of_others_is_left_alone() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "theirs").await;
    let foreign = "apiVersion: v1\nkind: Secret\nmetadata: {name: assistant-tls}\nstringData: {token: theirs}\n";
    apply_yaml(&cluster.client, &namespace.name, foreign).await;
    let secrets = namespace.api::<Secret>();
    let before = secrets.get("assistant-tls").await.expect("the Secret should exist");
    let _operator = Operator::start(&cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, ASSISTANT).await;
    let message = wait_reason(&deployments(&namespace), "assistant", "Stalled", ("True", "NameConflict"), SHORT).await;
    assert!(message.contains("Secret assistant-tls"), "{message}");
    let after = secrets.get("assistant-tls").await.expect("the Secret should exist");
    assert_eq!(before.resource_version(), after.resource_version());
    secrets.delete("assistant-tls", &DeleteParams::default()).await.expect("it should be deletable");
    wait_for("a Secret of ours", SHORT, async || {
        let secret = secrets.get("assistant-tls").await.map_err(|error| error.to_string())?;
        if secret.owner_references().is_empty() { Err("without an owner".to_owned()) } else { Ok(()) }
    })
    .await;
    namespace.close().await;
}

/// No watch tells of it: any pass does that comes half a minute after the last read.
#[tokio::test]
async fn a_lost_secret_is_made_anew_by_the_passes_that_follow() {
    let cluster = Cluster::connect().await;
    let (namespace, _operator) = settled(&cluster, "lost").await;
    let secrets = namespace.api::<Secret>();
    secrets.delete("assistant-tls", &DeleteParams::default()).await.expect("it should be deletable");
    let mut count = 0;
    wait_for("the Secret to be back", Duration::from_secs(40), async || {
        count += 1;
        if count % 20 == 0 {
            let note = json!({"metadata": {"annotations": {"example.com/look": count.to_string()}}});
            let deployments = deployments(&namespace);
            let annotated = deployments.patch("assistant", &PatchParams::default(), &Patch::Merge(&note)).await;
            annotated.map_err(|error| error.to_string())?;
        }
        secrets.get("assistant-tls").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    namespace.close().await;
}

/// Health as GitOps tools compute it is never wrong on the way: with `observedGeneration` behind or a `Reconciling`
/// condition they wait, and `Ready` is not claimed before a pod serves.
#[tokio::test]
async fn a_deployment_without_a_pod_is_never_ready() {
    let cluster = Cluster::connect().await;
    let (namespace, _operator) = settled(&cluster, "kstatus").await;
    let deployment = deployments(&namespace).get("assistant").await.expect("the deployment should exist");
    assert_eq!(deployment.data["status"]["observedGeneration"], deployment.metadata.generation.unwrap_or_default());
    assert_ne!(condition(&deployment, "Ready").map(|seen| seen.status), Some("True".to_owned()));
    namespace.close().await;
}
