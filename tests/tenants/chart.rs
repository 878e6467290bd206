//! Objects of the chart, as helm renders them for a test, and clients with the rights of others.

use std::process::Command;

use alcazar_tests::{Cluster, cluster::repo};
use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
    discovery::pinned_kind,
};
use serde::Deserialize;

/// The objects of these kinds for `--set-json` values, with `release` as release and `namespace` as its namespace.
pub(crate) fn render(release: &str, namespace: &str, set: &[&str], kinds: &[&str]) -> Vec<DynamicObject> {
    let mut command = Command::new(repo("target/cluster-bin/helm"));
    command.args(["template", release]).arg(repo("charts/alcazar"));
    // The suites share a server, and one of them brings Cilium's kind.
    command.args(["--namespace", namespace, "--kube-version", "1.35.0", "--api-versions", "cilium.io/v2"]);
    for value in set {
        command.args(["--set-json", value]);
    }
    let output = command.output().expect("target/cluster-bin/helm should run: `make cluster-bin` builds it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("helm should render text");
    let documents = serde_yaml::Deserializer::from_str(&text)
        .map(|document| serde_json::Value::deserialize(document).expect("the chart should render YAML"));
    let wanted = documents.filter(|document| kinds.iter().any(|kind| document["kind"] == *kind));
    wanted.map(|document| serde_json::from_value(document).expect("it should be an object of Kubernetes")).collect()
}

/// Server-side apply of an object of any scope.
pub(crate) async fn apply(client: &Client, object: &DynamicObject) {
    let types = object.types.clone().expect("the object should have apiVersion and kind");
    let gvk = kube::core::GroupVersionKind::try_from(&types).expect("apiVersion should be group/version");
    let (resource, _) = pinned_kind(client, &gvk).await.expect("the kind should be served");
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.metadata.name.clone().expect("the object should have a name");
    let applied = api.patch(&name, &PatchParams::apply("a-user").force(), &Patch::Apply(object)).await;
    applied.unwrap_or_else(|error| panic!("{} {name} should be applied: {error}", types.kind));
}

/// A client that acts as this user, who has no group but that of all who are known.
pub(crate) async fn client_as(cluster: &Cluster, user: &str) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(&cluster.kubeconfig).expect("the kubeconfig should parse");
    for entry in &mut kubeconfig.auth_infos {
        let info = entry.auth_info.get_or_insert_with(AuthInfo::default);
        info.impersonate = Some(user.to_owned());
        info.impersonate_groups = Some(vec!["system:authenticated".to_owned()]);
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("the kubeconfig should name a cluster")).expect("the client should be made")
}
