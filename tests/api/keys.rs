//! API keys: what their status says, and the Secrets that the operator makes for them.

use std::time::Duration;

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{condition, keys, wait_reason},
    operator::Operator,
    wait::{SHORT, stays, wait_for},
};
use k8s_openapi::{
    api::{core::v1::Secret, events::v1::Event},
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

async fn apply(namespace: &TestNamespace, name: &str, spec: &str) {
    let text = format!(
        "apiVersion: alcazar.dev/v1alpha1\nkind: LlmApiKey\nmetadata: {{name: {name}}}\nspec: {{owner: ana, {spec}}}\n"
    );
    apply_yaml(&namespace.client, &namespace.name, &text).await;
}

async fn ready(namespace: &TestNamespace, name: &str, status: &str, reason: &str) -> String {
    wait_reason(&keys(namespace), name, "Ready", (status, reason), SHORT).await
}

async fn get(namespace: &TestNamespace, name: &str) -> DynamicObject {
    keys(namespace).get(name).await.expect("the key should exist")
}

/// What the gateway writes, as it writes it.
async fn use_key(namespace: &TestNamespace, name: &str, requests: u32) {
    let usage = json!({"status": {
        "lastUsedTime": "2026-11-23T12:00:00Z",
        "usage": {"requests": requests, "promptTokens": 7, "completionTokens": 9, "tokensToday": 16, "day": "2026-11-23"},
    }});
    let params = PatchParams { field_manager: Some("alcazar-gateway".to_owned()), ..PatchParams::default() };
    keys(namespace).patch_status(name, &params, &Patch::Merge(&usage)).await.expect("the usage should be written");
}

/// The key in the Secret.
async fn stored(namespace: &TestNamespace, name: &str) -> Result<String, String> {
    let secret = namespace.api::<Secret>().get_opt(name).await.map_err(|error| error.to_string())?;
    let data = secret.and_then(|secret| secret.data).ok_or("no Secret")?;
    let key = data.get("key").ok_or("no entry key")?;
    String::from_utf8(key.0.clone()).map_err(|error| error.to_string())
}

fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

async fn nudge(namespace: &TestNamespace, name: &str) {
    let note = json!({"metadata": {"annotations": {"example.com/note": "look"}}});
    keys(namespace).patch(name, &PatchParams::default(), &Patch::Merge(&note)).await.expect("it should be annotated");
}

#[tokio::test]
async fn the_gateways_part_of_the_status_stays_and_wakes_nobody() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "usage").await;
    let _operator = Operator::start(&cluster, &namespace);
    apply(&namespace, "chat", &format!("hash: {HASH}")).await;
    ready(&namespace, "chat", "True", "Active").await;
    for requests in 1..=3 {
        use_key(&namespace, "chat", requests).await;
    }
    let written = get(&namespace, "chat").await.resource_version();
    stays("the status", Duration::from_secs(3), async || {
        let now = get(&namespace, "chat").await.resource_version();
        if now == written { Ok(()) } else { Err(format!("{written:?} became {now:?}")) }
    })
    .await;
    apply(&namespace, "chat", &format!("hash: {HASH}, state: Revoked")).await;
    ready(&namespace, "chat", "False", "Revoked").await;
    let seen = get(&namespace, "chat").await;
    assert_eq!(seen.data["status"]["usage"]["requests"], 3, "the operator leaves it alone");
    let of_operator = seen.managed_fields().iter().find(|entry| entry.manager.as_deref() == Some("alcazar-operator"));
    let owned =
        serde_json::to_value(of_operator).expect("managed fields should serialize")["fieldsV1"]["f:status"].clone();
    let mut owned: Vec<_> = owned.as_object().expect("the operator should own a status").keys().cloned().collect();
    owned.sort();
    assert_eq!(owned, ["f:conditions", "f:observedGeneration"]);
    assert!(condition(&seen, "Stalled").is_none(), "revoked on purpose");
    namespace.close().await;
}

#[tokio::test]
async fn a_key_is_made_shown_only_in_its_secret_and_made_anew_when_that_is_gone() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "made").await;
    let _operator = Operator::start(&cluster, &namespace);
    apply(&namespace, "chat", "secretName: chat-key").await;
    ready(&namespace, "chat", "True", "Active").await;
    let first = stored(&namespace, "chat-key").await.expect("the key should be in the Secret");
    assert!(first.starts_with("alc_") && first.len() == 47, "the form of a key");
    let seen = get(&namespace, "chat").await;
    assert_eq!(seen.data["status"]["hash"], sha256(&first));
    assert!(!serde_json::to_string(&seen).expect("a key should serialize").contains(&first));
    let secrets = namespace.api::<Secret>();
    let owner = secrets.get("chat-key").await.expect("the Secret should exist").owner_references()[0].clone();
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("LlmApiKey", "chat"));

    nudge(&namespace, "chat").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stored(&namespace, "chat-key").await.as_ref(), Ok(&first), "a second pass keeps it");

    secrets.delete("chat-key", &DeleteParams::default()).await.expect("the Secret should be deletable");
    let again = json!({"metadata": {"annotations": {"example.com/note": "again"}}});
    keys(&namespace)
        .patch("chat", &PatchParams::default(), &Patch::Merge(&again))
        .await
        .expect("it should be annotated");
    let second = wait_for("a new key", SHORT, async || stored(&namespace, "chat-key").await).await;
    assert_ne!(second, first);
    wait_for("the new hash", SHORT, async || {
        let now = get(&namespace, "chat").await;
        if now.data["status"]["hash"] == sha256(&second) { Ok(()) } else { Err(now.data["status"].to_string()) }
    })
    .await;
    let events = namespace.api::<Event>().list(&ListParams::default()).await.expect("Events should be readable");
    let told = events.iter().find(|event| event.reason.as_deref() == Some("Replaced"));
    let note = told.and_then(|event| event.note.clone()).expect("an Event should tell of it");
    assert!(note.contains("Secret chat-key") && !note.contains(&second), "{note}");
    namespace.close().await;
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_not_touched() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "foreign").await;
    let foreign: Secret = serde_json::from_value(json!({
        "metadata": {"name": "taken"}, "stringData": {"key": "alc_not-yours-not-yours-not-yours-not-yours-not"},
    }))
    .expect("it should be a Secret");
    let secrets = namespace.api::<Secret>();
    let made = secrets.create(&PostParams::default(), &foreign).await.expect("the Secret should be made");
    let _operator = Operator::start(&cluster, &namespace);
    apply(&namespace, "chat", "secretName: taken").await;
    let message = ready(&namespace, "chat", "False", "SecretConflict").await;
    assert!(message.contains("taken exists and belongs to somebody else"), "{message}");
    let seen = get(&namespace, "chat").await;
    assert_eq!(seen.data["status"].get("hash"), None::<&Value>, "not even its hash is told");
    assert_eq!(condition(&seen, "Stalled").map(|stalled| stalled.reason), Some("SecretConflict".to_owned()));
    let now = secrets.get("taken").await.expect("the Secret should still be there");
    assert_eq!(now.resource_version(), made.resource_version());
    // Mended without a restart or an annotation.
    secrets.delete("taken", &DeleteParams::default()).await.expect("the Secret should be deletable");
    wait_reason(&keys(&namespace), "chat", "Ready", ("True", "Active"), Duration::from_secs(30)).await;
    namespace.close().await;
}

#[tokio::test]
async fn of_two_with_one_hash_the_older_counts_until_it_is_gone() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "twice").await;
    let _operator = Operator::start(&cluster, &namespace);
    apply(&namespace, "zoe", &format!("hash: {HASH}")).await;
    ready(&namespace, "zoe", "True", "Active").await;
    // Creation times are whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    apply(&namespace, "abe", &format!("hash: {HASH}")).await;
    let message = ready(&namespace, "abe", "False", "Duplicate").await;
    assert!(message.contains("LlmApiKey zoe is older"), "{message}");
    keys(&namespace).delete("zoe", &DeleteParams::default()).await.expect("the key should be deletable");
    ready(&namespace, "abe", "True", "Active").await;
    namespace.close().await;
}

#[tokio::test]
async fn a_key_expires_at_its_moment() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "expiry").await;
    let _operator = Operator::start(&cluster, &namespace);
    let end = Timestamp::from_second((Timestamp::now() + SignedDuration::from_secs(6)).as_second()).expect("a time");
    apply(&namespace, "chat", &format!("hash: {HASH}, expiresAt: \"{end}\"")).await;
    let message = ready(&namespace, "chat", "True", "Active").await;
    assert!(message.contains(&format!("until {end}")), "{message}");
    ready(&namespace, "chat", "False", "Expired").await;
    let late = Timestamp::now().duration_since(end);
    assert!(late.is_positive() && late < SignedDuration::from_secs(3), "told {late:?} after it");
    namespace.close().await;
}
