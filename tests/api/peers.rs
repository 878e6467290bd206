//! VPN peers, and what the operator keeps for the gateway.

use std::{collections::BTreeMap, time::Duration};

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{vpn_peers, wait_reason},
    operator::Operator,
    wait::{SHORT, stays, wait_for},
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

const VPN: &str = "gateway: {vpn: {enabled: true, endpoint: 'vpn.example.com:51820', cidr: 10.88.0.0/24}}";
const ONE: &str = "mK6fxuT0Wq0f7bVYbVLxlQm1h5pJ2lVj3x0r9n5c3Vk=";
const OTHER: &str = "AAAAxuT0Wq0f7bVYbVLxlQm1h5pJ2lVj3x0r9n5c3Vk=";

async fn apply(namespace: &TestNamespace, name: &str, public_key: &str, address: &str) {
    let text = format!(
        "apiVersion: alcazar.dev/v1alpha1\nkind: LlmVpnPeer\nmetadata: {{name: {name}}}\n\
         spec: {{owner: ana, publicKey: \"{public_key}\", address: {address}}}\n"
    );
    apply_yaml(&namespace.client, &namespace.name, &text).await;
}

async fn ready(namespace: &TestNamespace, name: &str, status: &str, reason: &str) -> String {
    wait_reason(&vpn_peers(namespace), name, "Ready", (status, reason), SHORT).await
}

#[tokio::test]
async fn peers_are_told_what_is_wrong_and_what_is_free() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "peers").await;
    let _operator = Operator::start_with(&cluster, &namespace, VPN);
    apply(&namespace, "zoe", ONE, "10.88.0.2").await;
    ready(&namespace, "zoe", "True", "Active").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    apply(&namespace, "abe", OTHER, "10.88.0.2").await;
    let message = ready(&namespace, "abe", "False", "AddressInUse").await;
    assert!(message.contains("belongs to LlmVpnPeer zoe, which is older; 10.88.0.3 is free"), "{message}");
    apply(&namespace, "abe", OTHER, "10.89.0.2").await;
    ready(&namespace, "abe", "False", "AddressOutside").await;
    apply(&namespace, "abe", ONE, "10.88.0.3").await;
    ready(&namespace, "abe", "False", "KeyInUse").await;
    vpn_peers(&namespace).delete("zoe", &DeleteParams::default()).await.expect("the peer should be deletable");
    ready(&namespace, "abe", "True", "Active").await;
    namespace.close().await;
}

#[tokio::test]
async fn without_a_vpn_no_peer_is_let_in() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "novpn").await;
    let _operator = Operator::start(&cluster, &namespace);
    apply(&namespace, "zoe", ONE, "10.88.0.2").await;
    let message = ready(&namespace, "zoe", "False", "VpnDisabled").await;
    assert!(message.contains("gateway.vpn.enabled"), "{message}");
    namespace.close().await;
}

const SECRETS: [&str; 3] = ["alcazar-gateway-client", "alcazar-gateway-tls", "alcazar-vpn"];

async fn versions(namespace: &TestNamespace) -> Result<BTreeMap<String, String>, String> {
    let mut seen = BTreeMap::new();
    for name in SECRETS {
        let secret = namespace.api::<Secret>().get(name).await.map_err(|error| error.to_string())?;
        seen.insert(name.to_owned(), secret.resource_version().unwrap_or_default());
    }
    let map = namespace.api::<ConfigMap>().get("alcazar-vpn").await.map_err(|error| error.to_string())?;
    seen.insert("ConfigMap".to_owned(), map.resource_version().unwrap_or_default());
    Ok(seen)
}

async fn vpn_key(namespace: &TestNamespace) -> Vec<u8> {
    let secret = namespace.api::<Secret>().get("alcazar-vpn").await.expect("the Secret should exist");
    secret.data.expect("the Secret should hold a key")["privateKey"].0.clone()
}

#[tokio::test]
async fn what_the_gateway_needs_is_made_once_and_restored() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "gateway").await;
    let operator = Operator::start_with(&cluster, &namespace, VPN);
    let made = wait_for("the gateway's Secrets", SHORT, async || versions(&namespace).await).await;
    for name in &SECRETS[..2] {
        let secret = namespace.api::<Secret>().get(name).await.expect("the Secret should exist");
        let files: Vec<_> = secret.data.into_iter().flatten().map(|(file, _)| file).collect();
        assert_eq!(files, ["ca.crt", "tls.crt", "tls.key"], "{name}");
    }
    let told = namespace.api::<ConfigMap>().get("alcazar-vpn").await.expect("the ConfigMap should exist").data;
    let told = told.expect("the ConfigMap should hold what peers need");
    assert_eq!((told["endpoint"].as_str(), told["gatewayAddress"].as_str()), ("vpn.example.com:51820", "10.88.0.1"));
    assert_eq!(told["publicKey"].len(), 44);
    let key = vpn_key(&namespace).await;

    operator.kill();
    let operator = Operator::start_with(&cluster, &namespace, VPN);
    stays("what was made", Duration::from_secs(4), async || {
        let now = versions(&namespace).await?;
        if now == made { Ok(()) } else { Err(format!("{made:?} became {now:?}")) }
    })
    .await;

    operator.kill();
    let secrets = namespace.api::<Secret>();
    secrets.delete("alcazar-gateway-tls", &DeleteParams::default()).await.expect("the Secret should be deletable");
    let foreign: Secret = serde_json::from_value(json!({
        "metadata": {"name": "alcazar-gateway-tls"}, "stringData": {"tls.crt": "theirs"},
    }))
    .expect("it should be a Secret");
    secrets.delete("alcazar-gateway-client", &DeleteParams::default()).await.expect("the Secret should be deletable");
    let theirs = secrets.create(&PostParams::default(), &foreign).await.expect("the Secret should be made");
    let _operator = Operator::start_with(&cluster, &namespace, VPN);
    let restored = wait_for("the restored Secret", Duration::from_secs(30), async || versions(&namespace).await).await;
    assert_ne!(restored["alcazar-gateway-client"], made["alcazar-gateway-client"]);
    let now = secrets.get("alcazar-gateway-tls").await.expect("the Secret should be there");
    assert_eq!(now.resource_version(), theirs.resource_version(), "somebody else's is left alone");
    assert_eq!(vpn_key(&namespace).await, key, "a key of the VPN is made once");
    namespace.close().await;
}
