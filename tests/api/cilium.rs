//! A kind that a cluster may have: used where it is there, and cleaned up.

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    operator::Operator,
    wait::{SHORT, wait_for},
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::json;

/// As much of Cilium's kind as an API server wants.
const STUB: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ciliumnetworkpolicies.cilium.io}
spec:
  group: cilium.io
  scope: Namespaced
  names: {kind: CiliumNetworkPolicy, plural: ciliumnetworkpolicies, singular: ciliumnetworkpolicy}
  versions:
  - name: v2
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const MODEL: &str = "apiVersion: alcazar.dev/v1alpha1
kind: LlmModel
metadata: {name: tiny}
spec:
  source:
    http: {files: [{url: 'https://huggingface.co/tiny.gguf', sha256: SHA}]}
";

fn policies(namespace: &TestNamespace) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "cilium.io".to_owned(),
        version: "v2".to_owned(),
        api_version: "cilium.io/v2".to_owned(),
        kind: "CiliumNetworkPolicy".to_owned(),
        plural: "ciliumnetworkpolicies".to_owned(),
    };
    Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource)
}

#[tokio::test]
async fn a_fetch_gets_a_policy_by_name_where_the_kind_is_there() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "cilium").await;
    let stub: CustomResourceDefinition = serde_yaml::from_str(STUB).expect("the stub should parse");
    let kinds = Api::<CustomResourceDefinition>::all(cluster.client.clone());
    let applied =
        kinds.patch("ciliumnetworkpolicies.cilium.io", &PatchParams::apply("a-user"), &Patch::Apply(stub)).await;
    applied.expect("the kind should be accepted");
    let api = policies(&namespace);
    wait_for("the kind to be served", SHORT, async || {
        api.list(&kube::api::ListParams::default()).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let operator = Operator::start_with(&cluster, &namespace, "allowedHosts: [203.0.113.7]");
    apply_yaml(&cluster.client, &namespace.name, &MODEL.replace("SHA", &"0".repeat(64))).await;
    let policy =
        wait_for("the policy", SHORT, async || api.get("tiny-fetch").await.map_err(|error| error.to_string())).await;
    let egress = &policy.data["spec"]["egress"];
    assert_eq!(egress[0]["toPorts"][0]["rules"]["dns"][0]["matchPattern"], "*", "{egress}");
    assert_eq!(egress[1]["toFQDNs"], json!([{"matchName": "huggingface.co"}]), "{egress}");
    assert_eq!(egress[1]["toPorts"][0]["ports"], json!([{"port": "443", "protocol": "TCP"}]), "{egress}");
    let owner = policy.metadata.owner_references.iter().flatten().next().map(|owner| owner.kind.clone());
    assert_eq!(owner.as_deref(), Some("LlmModel"));

    // An address needs no name: the policy is an orphan.
    let source = json!({"spec": {"source": {"http": {"files": [
        {"url": "https://203.0.113.7/tiny.gguf", "sha256": "0".repeat(64)},
    ]}}}});
    let models = alcazar_tests::kinds::models(&namespace);
    models.patch("tiny", &PatchParams::default(), &Patch::Merge(source)).await.expect("the change should be accepted");
    wait_for("the policy to go", SHORT, async || match api.get_opt("tiny-fetch").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    drop(operator);
    namespace.close().await;
}
