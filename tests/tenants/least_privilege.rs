//! The operator with exactly what the chart grants it: nothing that it asks for is refused, and nothing that it may do is
//! never done. What was asked is read from the API server's own audit log.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use alcazar_crds::llm_model::LlmModel;
use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::deployments,
    kubelet,
    operator::Operator,
    wait::{SHORT, wait_for},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    authentication::v1::{TokenRequest, TokenRequestSpec},
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

use crate::chart;

/// Granted and not seen here, each with the reason.
const UNSEEN: [(&str, &str); 7] = [
    ("update llmdeployments/finalizers", "asked for by an admission plugin that this API server does not run"),
    ("update llmmodels/finalizers", "the same"),
    ("update llmapikeys/finalizers", "the same"),
    ("update leases", "a Lease is renewed now and then, perhaps not while the test lasts"),
    ("create ciliumnetworkpolicies", "only where Cilium's kind is: tests/api/cilium.rs"),
    ("patch ciliumnetworkpolicies", "the same"),
    ("delete ciliumnetworkpolicies", "the same"),
];
/// Reads that a store answers, unless it has not caught up with a write.
const BY_NAME: &str = "get ";

/// Verb and resource, as `patch llmmodels/status`.
type Right = String;

fn granted(objects: &[DynamicObject]) -> BTreeSet<Right> {
    let rules = objects.iter().flat_map(|object| object.data["rules"].as_array().cloned().unwrap_or_default());
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in rules {
        for verb in strings(&rule["verbs"]) {
            rights.extend(strings(&rule["resources"]).into_iter().map(|resource| format!("{verb} {resource}")));
        }
    }
    rights
}

/// What `user` asked for according to the audit log, with the code of the answer.
fn asked(log: &Path, user: &str) -> BTreeSet<(Right, u64)> {
    let text = fs::read(log).expect("the API server should write an audit log beside the kubeconfig");
    let text = String::from_utf8_lossy(&text);
    let events =
        text.lines().filter(|line| line.contains(user)).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_user = events
        .filter(|event| event["user"]["username"] == user && event["objectRef"]["resource"].is_string())
        // Asked for where it may be had; with named namespaces it may not, and the kubelet's word is taken instead.
        .filter(|event| {
            (&event["objectRef"]["namespace"], &event["objectRef"]["name"]) != (&json!("default"), &json!("kubernetes"))
        });
    of_user
        .flat_map(|event| {
            let part = |name: &str| event["objectRef"][name].as_str().unwrap_or_default().to_owned();
            let resource = [part("resource"), part("subresource")];
            let resource = resource.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/");
            let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
            let verb = event["verb"].as_str().unwrap_or_default();
            // A server-side apply of what is not there yet is judged as a creation too.
            let verbs = if (verb, code) == ("patch", 201) { vec!["patch", "create"] } else { vec![verb] };
            verbs.into_iter().map(|verb| (format!("{verb} {resource}"), code)).collect::<Vec<_>>()
        })
        .collect()
}

/// The chart's account of the operator in the test's namespace, and a kubeconfig with its token alone.
async fn account(cluster: &Cluster, namespace: &TestNamespace) -> (BTreeSet<Right>, String, PathBuf) {
    let watched = format!("watchNamespaces=[\"{}\"]", namespace.name);
    let kinds = ["ServiceAccount", "Role", "RoleBinding"];
    let objects = chart::render("t", &namespace.name, &[&watched], &kinds);
    let of_operator: Vec<DynamicObject> = objects
        .into_iter()
        .filter(|object| object.metadata.name.as_deref().is_some_and(|name| name.starts_with("t-operator")))
        .collect();
    for object in &of_operator {
        chart::apply(&cluster.client, object).await;
    }
    let accounts: Api<ServiceAccount> = namespace.api();
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let token = accounts.create_token_request("t-operator", &PostParams::default(), &request).await;
    let token = token.expect("there should be a token").status.expect("a token has a status").token;
    let text = fs::read_to_string(&cluster.kubeconfig).expect("the kubeconfig should be readable");
    let mut config: Value = serde_yaml::from_str(&text).expect("the kubeconfig should be YAML");
    for user in config["users"].as_array_mut().expect("there should be users") {
        user["user"] = json!({"token": token});
    }
    let folder = tempfile::Builder::new().prefix("alcazar-").tempdir().expect("there should be a folder").keep();
    let path = folder.join("kubeconfig");
    fs::write(&path, serde_yaml::to_string(&config).expect("YAML")).expect("the kubeconfig should be writable");
    (granted(&of_operator), format!("system:serviceaccount:{}:t-operator", namespace.name), path)
}

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
async fn live(client: &Client, namespace: &TestNamespace) {
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

#[tokio::test]
async fn the_operator_does_all_that_it_may_and_may_all_that_it_does() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "least").await;
    let (granted, user, kubeconfig) = account(&cluster, &namespace).await;
    let alone = Cluster { client: cluster.client.clone(), kubeconfig: kubeconfig.clone() };
    let operator = Operator::start_as_pod(&alone, &namespace);
    live(&cluster.client, &namespace).await;
    let log = cluster.kubeconfig.with_file_name("audit.log");
    let requests = asked(&log, &user);
    drop(operator);
    fs::remove_dir_all(kubeconfig.parent().expect("it lies in a folder")).expect("the folder should be removable");
    let refused: Vec<_> = requests.iter().filter(|(_, code)| *code == 403).collect();
    assert!(refused.is_empty(), "asked for and not granted: {refused:?}");
    let done: BTreeSet<Right> = requests.into_iter().map(|(right, _)| right).collect();
    let ungranted: Vec<_> = done.difference(&granted).collect();
    assert!(ungranted.is_empty(), "used and not in the chart's rules: {ungranted:?}");
    let idle: Vec<_> = granted
        .difference(&done)
        .filter(|right| !right.starts_with(BY_NAME) && !UNSEEN.iter().any(|(unseen, _)| unseen == right))
        .collect();
    assert!(idle.is_empty(), "granted and never used: {idle:?}; used: {done:?}");
    namespace.close().await;
}
