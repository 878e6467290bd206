//! The one endpoint of all models: who gets in, what it costs them, and what the end of a replica does.

use std::{process::Command, time::Duration};

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    cluster::repo,
    kinds::{keys, wait_condition, wait_reason},
    pod::{CALLER_KEY, Outcome, probe},
    wait::{LONG, SHORT, wait_for},
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::{
    Api,
    api::{LogParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    gateway_pods::{Replicas, STEADY, scale},
    scenario::{ask, namespace, served},
};

const HOST: &str = "alcazar-gateway.alcazar-system.svc";
/// As it is when nothing is said; the other tests look behind the gateway.
const BY_GATEWAY: &str = "  access: {mode: Gateway}";
const QUESTION: &str = r#"{"model":"assistant","stream":true,"temperature":0,"max_tokens":32,
    "messages":[{"role":"user","content":"What is the capital of France? Answer in one sentence."}]}"#;
/// Long enough to be cut in the middle.
const STORY: &str = r#"{"model":"assistant","stream":true,"max_tokens":1500,"seed":1,"temperature":1,"ignore_eos":true,
    "messages":[{"role":"user","content":"Count to ten thousand, slowly, in words."}]}"#;

/// A key of the namespace, made by the operator into the Secret that probe pods mount.
async fn make_key(namespace: &TestNamespace, spec: &str) {
    let yaml = format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmApiKey
metadata: {{name: caller}}
spec:
  owner: tests
  secretName: {CALLER_KEY}
{spec}
"
    );
    apply_yaml(&namespace.client, &namespace.name, &yaml).await;
    wait_condition(&keys(namespace), "caller", "Ready", "True", SHORT).await;
}

/// Asks the gateway with the namespace's key, from a pod of the namespace; a GET when `body` is empty.
async fn call(namespace: &TestNamespace, pod: &str, route: &str, body: &str, more: &[&str]) -> Outcome {
    let url = format!("https://{HOST}{route}");
    let mut args = vec!["get", &url, "--ca", "/ca/ca.crt", "--timeout", "80s", "--bearer", "/key/key"];
    args.extend(["--retry-refused", "10s"]);
    if !body.is_empty() {
        args.extend(["--data", body]);
    }
    args.extend(more);
    probe(namespace, pod, &[], &args).await
}

/// The same, but of one replica by its address.
async fn call_replica(namespace: &TestNamespace, pod: &str, address: &str, route: &str, body: &str) -> Outcome {
    let (url, resolve) = (format!("https://{HOST}:8443{route}"), format!("{HOST}:8443:{address}"));
    let mut args =
        vec!["get", &url, "--resolve", &resolve, "--ca", "/ca/ca.crt", "--timeout", "80s", "--bearer", "/key/key"];
    if !body.is_empty() {
        args.extend(["--data", body]);
    }
    probe(namespace, pod, &[], &args).await
}

#[tokio::test]
async fn a_key_opens_the_models_of_its_namespace_and_no_others() {
    let cluster = Cluster::connect().await;
    let ours = served(&cluster, "keyed", "assistant", BY_GATEWAY).await;
    let _steady = STEADY.read().await;
    let foreign = namespace(&cluster, "foreign").await;
    make_key(&ours, "").await;
    make_key(&foreign, "").await;

    let answer = call(&ours, "asks", "/v1/chat/completions", QUESTION, &[]).await;
    assert!(answer.code == 0 && answer.output.contains("Paris"), "{}", answer.output);
    assert!(answer.output.contains("data: [DONE]"), "{}", answer.output);
    let listed = call(&ours, "lists", "/v1/models", "", &[]).await;
    assert!(listed.output.contains(r#""assistant""#), "{}", listed.output);

    let nothing = call(&foreign, "lists", "/v1/models", "", &[]).await;
    assert!(nothing.code == 0 && !nothing.output.contains("assistant"), "{}", nothing.output);
    let refused = call(&foreign, "asks", "/v1/chat/completions", QUESTION, &["--status"]).await;
    assert!(refused.code == 4 && refused.output.contains(" 404 "), "{}", refused.output);
    let url = format!("https://{HOST}/v1/models");
    let mut args = vec!["get", &url, "--ca", "/ca/ca.crt", "--status", "--retry-refused", "10s"];
    args.extend(["--header", "Authorization=Bearer alc_not-a-key"]);
    let unknown = probe(&foreign, "guesses", &[], &args).await;
    assert!(unknown.code == 4 && unknown.output.contains(" 401 "), "{}", unknown.output);

    let around = ask(&ours, "around", "assistant", "/v1/models", "").await;
    assert_eq!(around.code, 1, "the pods should answer the gateway alone: {}", around.output);
    wait_for("the use of the key to be told", Duration::from_secs(30), async || {
        let key = keys(&ours).get("caller").await.map_err(|error| error.to_string())?;
        let status = &key.data["status"];
        let told = status["lastUsedTime"].is_string() && status["usage"]["completionTokens"].as_i64() > Some(0);
        if told { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    foreign.close().await;
    ours.close().await;
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_its_stream_ends() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "revoked", "assistant", BY_GATEWAY).await;
    let _steady = STEADY.read().await;
    make_key(&namespace, "  models: [assistant]").await;
    let stream = call(&namespace, "listener", "/v1/chat/completions", STORY, &["--stamp"]);
    let revoke = async {
        wait_streaming(&namespace, "listener").await;
        let patch = Patch::Merge(json!({"spec": {"state": "Revoked"}}));
        keys(&namespace).patch("caller", &PatchParams::default(), &patch).await.expect("the key should be revocable");
        wait_reason(&keys(&namespace), "caller", "Ready", ("False", "Revoked"), SHORT).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        call(&namespace, "late", "/v1/models", "", &["--status"]).await
    };
    let (stream, late) = tokio::join!(stream, revoke);
    assert!(
        stream.output.contains("revoked or has expired"),
        "the stream should end by being told why:\n{}",
        stream.output
    );
    assert!(late.code == 4 && late.output.contains(" 401 "), "{}", late.output);
    namespace.close().await;
}

#[tokio::test]
async fn two_replicas_count_together_and_fail_alone() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "replicas", "assistant", BY_GATEWAY).await;
    let _alone = STEADY.write().await;
    let replicas = Replicas::two(&cluster.client).await;
    make_key(&namespace, "  limits: {requestsPerMinute: 4}").await;
    let [first, second] = replicas.addresses.clone();
    let mut codes = Vec::new();
    for (n, address) in [&first, &second, &first, &second, &first, &second].into_iter().enumerate() {
        let body = QUESTION.replace("\"max_tokens\":32", "\"max_tokens\":1");
        let outcome = call_replica(&namespace, &format!("n{n}"), address, "/v1/chat/completions", &body).await;
        codes.push(outcome.code);
    }
    assert_eq!(codes, [0, 0, 0, 0, 4, 4], "four requests in a minute, whichever replica is asked");

    let patch = Patch::Merge(json!({"spec": {"limits": null}}));
    keys(&namespace).patch("caller", &PatchParams::default(), &patch).await.expect("limits should be removable");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let story = STORY.replace("1500", "250");
    let cut = call_replica(&namespace, "cut", &first, "/v1/chat/completions", &story);
    let whole = call_replica(&namespace, "whole", &second, "/v1/chat/completions", &story);
    let kill = async {
        wait_streaming(&namespace, "cut").await;
        wait_streaming(&namespace, "whole").await;
        replicas.kill(0).await;
    };
    let (cut, whole, ()) = tokio::join!(cut, whole, kill);
    assert!(!cut.output.contains("[DONE]"), "its replica was killed:\n{}", cut.output);
    assert!(whole.code == 0 && whole.output.contains("[DONE]"), "the other replica's stream:\n{}", whole.output);
    let after = call(&namespace, "after", "/v1/models", "", &[]).await;
    assert_eq!(after.code, 0, "{}", after.output);
    scale(&cluster.client, 1).await;
    namespace.close().await;
}

/// Until the first tokens have come.
async fn wait_streaming(namespace: &TestNamespace, pod: &str) {
    wait_for("the stream to run", LONG, async || {
        let log = namespace.api::<Pod>().logs(pod, &LogParams::default()).await.map_err(|error| error.to_string())?;
        if log.contains("data: ") { Ok(()) } else { Err(log) }
    })
    .await;
}

/// From the node itself, which reaches Services as a pod does.
#[tokio::test]
async fn the_official_client_works_with_a_base_url_a_key_and_a_ca() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "sdk", "assistant", BY_GATEWAY).await;
    let _steady = STEADY.read().await;
    make_key(&namespace, "").await;
    let files = repo("target/e2e-sdk");
    std::fs::create_dir_all(&files).expect("target should be writable");
    let secret = namespace.api::<Secret>().get(CALLER_KEY).await.expect("the operator should have made the key");
    let key = secret.data.expect("data")["key"].0.clone();
    let bundle = namespace.api::<ConfigMap>().get("alcazar-ca").await.expect("the CA should be there");
    std::fs::write(files.join("key"), key).expect("the key should be writable");
    std::fs::write(files.join("ca.crt"), &bundle.data.expect("data")["ca.crt"]).expect("the CA should be writable");
    let ours = Api::<Service>::namespaced(cluster.client.clone(), "alcazar-system");
    let address = ours.get("alcazar-gateway").await.expect("the gateway").spec.and_then(|spec| spec.cluster_ip);

    let installed = Command::new(repo("tests/clients/install.sh")).status().expect("install.sh should run");
    assert!(installed.success(), "the clients should be installable");
    let said = Command::new(repo("target/clients/venv/bin/python"))
        .arg(repo("tests/clients/gateway.py"))
        .envs([("ALCAZAR_GATEWAY", HOST), ("ALCAZAR_MODEL", "assistant")])
        .env("ALCAZAR_GATEWAY_ADDRESS", address.expect("an address"))
        .env("ALCAZAR_KEY_FILE", files.join("key"))
        .env("SSL_CERT_FILE", files.join("ca.crt"))
        .output()
        .expect("python should run");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    std::fs::remove_dir_all(files).expect("the key should be removable");
    namespace.close().await;
}
