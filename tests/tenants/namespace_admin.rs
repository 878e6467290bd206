//! Somebody who is admin of one namespace may make models there, and gains nothing outside of it.

use std::collections::BTreeMap;

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::{self, apply_yaml, parse},
    kinds::{models, wait_reason},
    kubelet,
    operator::Operator,
    wait::{SHORT, wait_for},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{PodSpec, Secret, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::chart;

const REVISION: &str = "12fd25f77366fa6b3b4b768ec3050bf629380bac";

/// The tenant's client, with `admin` and the chart's `alcazar-edit` in this namespace alone.
pub(crate) async fn tenant(cluster: &Cluster, namespace: &TestNamespace) -> Client {
    let release = format!("r-{}", namespace.name);
    let user = format!("admin-of-{}", namespace.name);
    for role in chart::render(&release, &namespace.name, &[], &["ClusterRole"]) {
        if role.name_any().ends_with("-edit") && !role.name_any().ends_with("vpn-edit") {
            chart::apply(&cluster.client, &role).await;
        }
    }
    for role in ["admin".to_owned(), format!("{release}-edit")] {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": format!("tenant-{role}"), "namespace": namespace.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        chart::apply(&cluster.client, &serde_json::from_value(binding).expect("a RoleBinding")).await;
    }
    chart::client_as(cluster, &user).await
}

fn deployment(name: &str, more: &Value) -> Value {
    let mut spec = json!({
        "model": {"source": {"huggingFace": {"repo": "a/b", "revision": REVISION}}},
        "access": {"mode": "Direct"},
    });
    spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    json!({"apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmDeployment", "metadata": {"name": name}, "spec": spec})
}

/// What the API server says to the tenant.
pub(crate) async fn ask(tenant: &Client, namespace: &str, object: &Value) -> Result<(), String> {
    let object = &parse(&object.to_string())[0];
    apply::apply(tenant, namespace, object).await.map(|_| ()).map_err(|error| error.to_string())
}

/// Every way in which a pod could get more than its own model.
fn assert_confined(spec: &PodSpec, account: &str, secrets: &[&str]) {
    assert_eq!((spec.host_network, spec.host_pid, spec.host_ipc), (None, None, None));
    assert_eq!(spec.service_account_name.as_deref(), Some(account));
    assert_eq!(spec.automount_service_account_token, Some(false));
    assert_eq!((spec.containers.len(), spec.init_containers.is_none()), (1, true));
    let container = &spec.containers[0];
    assert_eq!(container.image.as_deref(), Some("localhost/alcazar/runtime:0.1.0"));
    assert!(container.command.is_none() && container.env_from.is_none());
    // What the pod may know of itself and its node; never a Secret.
    let of_pod = container.env.iter().flatten().all(|variable| {
        variable.value_from.as_ref().is_some_and(|from| from.field_ref.is_some() && from.secret_key_ref.is_none())
    });
    assert!(of_pod, "{:?}", container.env);
    let context = container.security_context.as_ref().expect("there should be a security context");
    let of_pod = spec.security_context.as_ref().and_then(|context| context.run_as_non_root);
    assert_eq!((context.run_as_non_root.or(of_pod), context.read_only_root_filesystem), (Some(true), Some(true)));
    assert_eq!((context.privileged.unwrap_or_default(), context.allow_privilege_escalation), (false, Some(false)));
    for volume in spec.volumes.iter().flatten() {
        assert!(volume.host_path.is_none() && volume.csi.is_none() && volume.nfs.is_none(), "{volume:?}");
        if let Some(secret) = volume.secret.as_ref().and_then(|secret| secret.secret_name.as_deref()) {
            assert!(secrets.contains(&secret), "{secret} is mounted");
        }
    }
}

#[tokio::test]
async fn what_a_tenant_writes_opens_no_pod() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "tenant").await;
    let _operator = Operator::start(&cluster, &namespace);
    let tenant = tenant(&cluster, &namespace).await;
    let name = &namespace.name;
    for (more, word) in [
        (json!({"podTemplate": {"labels": {"app.kubernetes.io/name": "alcazar-gateway"}}}), "the operator owns them"),
        (json!({"podTemplate": {"labels": {"alcazar.dev/deployment": "other"}}}), "the operator owns them"),
        (json!({"podTemplate": {"serviceAccountName": "default"}}), "not declared in schema"),
        (json!({"podTemplate": {"securityContext": {"runAsUser": 0}}}), "not declared in schema"),
        (json!({"podTemplate": {"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}}), "not declared in schema"),
        (json!({"podTemplate": {"nodeName": "node"}}), "not declared in schema"),
        (json!({"podTemplate": {"hostNetwork": true}}), "not declared in schema"),
        (json!({"podTemplate": {"containers": []}}), "not declared in schema"),
        (json!({"image": "attacker/image"}), "not declared in schema"),
        (json!({"runtimeImage": "attacker/image"}), "not declared in schema"),
        (json!({"podTemplate": {"annotations": {"k8s.v1.cni.cncf.io/networks": "other"}}}), "further networks"),
        (json!({"model": {"source": {"persistentVolumeClaim": {"claimName": "other/claim"}}}}), ""),
        (
            json!({"model": {"source": {"huggingFace": {"repo": "a/b", "revision": REVISION, "tokenSecretName": "kube-system/token"}}}}),
            "",
        ),
        (
            json!({"model": {"source": {"huggingFace": {"repo": "a/b", "revision": REVISION}}, "encryption": {"keySecretName": "other/key"}}}),
            "",
        ),
        (
            json!({"model": {"source": {"huggingFace": {"repo": "a/b", "revision": REVISION}}, "signature": {"publicKeySecretName": "../key"}}}),
            "",
        ),
    ] {
        let told = ask(&tenant, name, &deployment("d", &more)).await.expect_err(&format!("{more} should be refused"));
        assert!(told.contains(word), "{more}: {told}");
    }
    let more = json!({"podTemplate": {
        "labels": {"team": "a", "k8s-app": "kube-dns"}, "priorityClassName": "system-node-critical", "runtimeClassName": "other",
    }});
    assert_eq!(ask(&tenant, name, &deployment("d", &more)).await, Ok(()));
    let jobs: Api<Job> = namespace.api();
    let job = wait_for("the fetch Job", SHORT, async || {
        let found = jobs.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        found.items.into_iter().next().ok_or_else(|| "none yet".to_owned())
    })
    .await;
    let pod = job.spec.and_then(|spec| spec.template.spec).expect("the Job should have a pod");
    assert_confined(&pod, "d-fetch", &[]);
    kubelet::seal(&namespace, "d", kubelet::DIGEST).await;
    let made: Api<Deployment> = namespace.api();
    let made = wait_for("the Deployment", SHORT, async || made.get("d").await.map_err(|error| error.to_string())).await;
    let template = made.spec.expect("it should have a spec").template;
    assert_confined(&template.spec.expect("it should have a pod"), "d", &["d-tls"]);
    let labels: BTreeMap<String, String> = template.metadata.and_then(|meta| meta.labels).unwrap_or_default();
    assert_eq!(labels["app.kubernetes.io/name"], "alcazar-runtime", "{labels:?}");
    namespace.close().await;
}

#[tokio::test]
async fn a_tenant_reaches_nothing_of_others() {
    let cluster = Cluster::connect().await;
    let (own, other) =
        (TestNamespace::create(&cluster.client, "own").await, TestNamespace::create(&cluster.client, "other").await);
    let tenant = tenant(&cluster, &own).await;
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}, "stringData": {"token": "t"}});
    apply_yaml(&cluster.client, &other.name, &secret.to_string()).await;
    assert!(Api::<Secret>::namespaced(tenant.clone(), &other.name).get("theirs").await.is_err());
    assert!(
        ask(&tenant, &other.name, &deployment("d", &json!({}))).await.is_err_and(|told| told.contains("forbidden"))
    );
    // Devices of the tunnel open the cluster's door, so they are not the tenant's to add.
    let peer = json!({"apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmVpnPeer", "metadata": {"name": "p"},
        "spec": {"publicKey": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", "address": "10.88.0.9", "owner": "o"}});
    assert!(ask(&tenant, &own.name, &peer).await.is_err_and(|told| told.contains("forbidden")));
    // Its own status is not the tenant's to write: a condition could be forged.
    let patch = kube::api::Patch::Merge(json!({"status": {"modelDigest": "sha256:00"}}));
    assert_eq!(ask(&tenant, &own.name, &deployment("d", &json!({}))).await, Ok(()));
    let resource = kube::api::ApiResource {
        group: "alcazar.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "alcazar.dev/v1alpha1".to_owned(),
        kind: "LlmDeployment".to_owned(),
        plural: "llmdeployments".to_owned(),
    };
    let api: Api<kube::api::DynamicObject> = Api::namespaced_with(tenant, &own.name, &resource);
    assert!(api.patch_status("d", &kube::api::PatchParams::default(), &patch).await.is_err());
    own.close().await;
    other.close().await;
}

#[tokio::test]
async fn objects_that_are_there_already_are_not_taken_over() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "collide").await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "m-fetch", "labels": {"mine": "yes"}}});
    apply_yaml(&cluster.client, &namespace.name, &account.to_string()).await;
    let _operator = Operator::start(&cluster, &namespace);
    let model = json!({"apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmModel", "metadata": {"name": "m"},
        "spec": {"source": {"huggingFace": {"repo": "a/b", "revision": REVISION}}}});
    apply_yaml(&cluster.client, &namespace.name, &model.to_string()).await;
    wait_reason(&models(&namespace), "m", "Stalled", ("True", "NameConflict"), SHORT).await;
    let accounts: Api<ServiceAccount> = namespace.api();
    let found = accounts.get("m-fetch").await.expect("it should still be there");
    assert!(found.metadata.owner_references.is_none() && found.labels().len() == 1, "{:?}", found.metadata);
    accounts.delete("m-fetch", &DeleteParams::default()).await.expect("it should be deletable");
    namespace.close().await;
}

#[tokio::test]
async fn a_pod_with_the_gateways_labels_is_not_the_gateway() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "labels").await;
    let _operator = Operator::start(&cluster, &namespace);
    let mut gateway = deployment("d", &json!({}));
    gateway["spec"]["access"]["mode"] = json!("Gateway");
    apply_yaml(&cluster.client, &namespace.name, &gateway.to_string()).await;
    kubelet::seal(&namespace, "d", kubelet::DIGEST).await;
    let policies: Api<NetworkPolicy> = namespace.api();
    let policy = wait_for("the policy", SHORT, async || policies.get("d-serve").await.map_err(|e| e.to_string())).await;
    for rule in policy.spec.and_then(|spec| spec.ingress).unwrap_or_default() {
        let peers = rule.from.unwrap_or_default();
        assert!(!peers.is_empty(), "an empty list lets everybody in");
        for peer in peers {
            // Both in one peer: two entries of the list would let either in.
            let of_namespace = peer.namespace_selector.and_then(|selector| selector.match_labels).unwrap_or_default();
            assert!(of_namespace.contains_key("kubernetes.io/metadata.name"), "{of_namespace:?}");
            assert!(
                peer.pod_selector
                    .is_some_and(|selector| selector.match_labels.is_some_and(|labels| !labels.is_empty()))
            );
        }
    }
    namespace.close().await;
}
