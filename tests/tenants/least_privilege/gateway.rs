//! The gateway with the chart's account of it, of an installation for one namespace.

use std::time::Duration;

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    gateway::Gateway,
    kinds::{keys, wait_condition},
    operator::Operator,
    wait::{SHORT, wait_for},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use super::Account;

const UNSEEN: [(&str, &str); 1] =
    [("patch llmvpnpeers/status", "after a handshake through the tunnel: tests/e2e/vpn.rs looks at what it wrote")];

/// Which objects of a release are the gateway's.
pub(super) fn is_its(release: &str) -> impl Fn(&str) -> bool {
    let role = format!("{release}-gateway");
    move |name| name == "alcazar-gateway" || name.starts_with(&role)
}

/// A key is used for a model that has no pods, which is told in the key's status.
pub(super) async fn live(client: &Client, namespace: &TestNamespace, gateway: &Gateway) {
    let source = "source: {huggingFace: {repo: a/b, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}}";
    let yaml = format!(
        "apiVersion: alcazar.dev/v1alpha1\nkind: LlmDeployment\nmetadata: {{name: asked}}\nspec: {{model: {{{source}}}}}\n---\n\
         apiVersion: alcazar.dev/v1alpha1\nkind: LlmApiKey\nmetadata: {{name: used}}\nspec: {{secretName: used-key, owner: o}}\n"
    );
    apply_yaml(client, &namespace.name, &yaml).await;
    wait_condition(&keys(namespace), "used", "Ready", "True", SHORT).await;
    let secret = Api::<Secret>::namespaced(client.clone(), &namespace.name).get("used-key").await;
    let key = secret.expect("the Secret should be there").data.expect("it should hold the key")["key"].0.clone();
    let key = String::from_utf8(key).expect("a key is text");
    let question = r#"{"model":"asked","messages":[{"role":"user","content":"Are you there?"}]}"#;
    wait_for("the gateway to know key and model", SHORT, async || match gateway.ask(&key, question) {
        503 => Ok(()),
        other => Err(format!("it answers {other}")),
    })
    .await;
    wait_for("the use of the key to be told", Duration::from_secs(20), async || {
        let key = keys(namespace).get("used").await.map_err(|error| error.to_string())?;
        let status = &key.data["status"];
        if status["usage"]["requests"].as_i64() > Some(0) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn the_gateway_does_all_that_it_may_and_may_all_that_it_does() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "leastgw").await;
    let _operator = Operator::start(&cluster, &namespace);
    let watched = format!("watchNamespaces=[\"{}\"]", namespace.name);
    let set = [watched.as_str(), r#"gateway.vpn={"enabled":true,"endpoint":"vpn.example.com:51820"}"#];
    let account = Account::make(&cluster, &namespace, ("t", "alcazar-gateway"), &set, is_its("t")).await;
    let vpn =
        "vpn: {enabled: true, listen: '127.0.0.1:0', privateKeyFile: KEY, cidr: 10.88.0.0/16, address: 10.88.0.1}";
    let gateway = Gateway::start(&account.cluster, &namespace, &[&namespace.name], vpn).await;
    live(&cluster.client, &namespace, &gateway).await;
    account.judge(&cluster.kubeconfig.with_file_name("audit.log"), &UNSEEN, |_| false);
    drop(gateway);
    namespace.close().await;
}
