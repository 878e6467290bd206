//! The pure steps over keys from YAML.

use alcazar_contract::labels;
use alcazar_crds::llm_api_key::{LlmApiKey, LlmApiKeyStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{
    ApiKey, Observed, Plan,
    build::build,
    observe, plan, status,
    status::{Seen, Trouble},
    validate,
};
use crate::{
    apply,
    bounds::tests::refusals,
    conditions::{find, is_true},
    store::Key,
};

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn key(spec: &Value) -> LlmApiKey {
    let mut object = json!({
        "apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmApiKey",
        "metadata": {"name": "chat", "namespace": "team-a", "uid": "u1", "generation": 3, "labels": {"team": "red", "app": "x"}},
        "spec": {"owner": "ana"},
    });
    for (field, value) in spec.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn judged(object: &LlmApiKey, older: Option<&Key>, trouble: Option<&Trouble>) -> LlmApiKeyStatus {
    let seen = Seen { object, hash: None, older, trouble };
    let status = status::compute(&seen, now());
    assert_eq!(refusals("llmapikeys", &status), Vec::<String>::new());
    status
}

/// `(Ready, Stalled, reason, message)`.
fn ready(status: &LlmApiKeyStatus) -> (bool, bool, String, String) {
    let all = &status.conditions;
    let ready = find(all, "Ready").unwrap();
    (is_true(all, "Ready"), is_true(all, "Stalled"), ready.reason.clone(), ready.message.clone())
}

#[test]
fn says_whether_a_key_counts_and_why() {
    let told = |more: Value| {
        let mut spec = json!({"hash": HASH});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key(&spec)
    };
    let near = Key::new("team-a", "first");
    let far = Key::new("team-b", "secret-project");
    for (object, older, expected) in [
        (told(json!({})), None, (true, false, "Active", "the key opens every model of the namespace")),
        (
            told(json!({"models": ["assistant"], "expiresAt": "2026-11-23T12:00:01Z"})),
            None,
            (true, false, "Active", "the key opens assistant until 2026-11-23T12:00:01Z"),
        ),
        (
            told(json!({"expiresAt": "2026-11-23T12:00:00Z"})),
            None,
            (false, false, "Expired", "the key expired at 2026-"),
        ),
        (told(json!({"state": "Revoked"})), Some(&near), (false, false, "Revoked", "spec.state is Revoked")),
        (told(json!({})), Some(&near), (false, true, "Duplicate", "LlmApiKey first is older")),
        (told(json!({})), Some(&far), (false, true, "Duplicate", "an LlmApiKey of another namespace is older")),
    ] {
        let status = judged(&object, older, None);
        let (is_ready, stalled, reason, message) = ready(&status);
        assert_eq!((is_ready, stalled, reason.as_str()), (expected.0, expected.1, expected.2));
        assert!(message.starts_with(expected.3), "{message}");
        assert!(!message.contains("secret-project"), "another tenant's names stay with him");
        assert_eq!(status.observed_generation, Some(3));
    }
}

#[test]
fn a_second_pass_changes_nothing_and_takes_nothing_of_the_gateways() {
    let mut object = key(&json!({"hash": HASH}));
    object.status = Some(judged(&object, None, None));
    let used = json!({"lastUsedTime": "2026-11-23T11:59:00Z", "usage": {"requests": 7, "tokensToday": 3, "day": "2026-11-23"}});
    let mut seen = serde_json::to_value(&object).unwrap();
    seen["status"].as_object_mut().unwrap().extend(used.as_object().unwrap().clone());
    // As the store keeps it.
    <LlmApiKey as crate::store::Kind>::prune(&mut seen);
    let object: LlmApiKey = serde_json::from_value(seen).unwrap();
    let again = status::compute(
        &Seen { object: &object, hash: None, older: None, trouble: None },
        now() + SignedDuration::from_hours(1),
    );
    assert_eq!(object.status.as_ref(), Some(&again));
    assert!(again.last_used_time.is_none() && again.usage.is_none());
}

#[test]
fn a_key_is_made_only_where_it_is_missing_and_would_count() {
    let stored = Observed { stored: Some(HASH.into()), older: None };
    let nothing = Observed::default();
    let made = |replaces| Plan::Make { secret_name: "chat-key".into(), replaces };
    let known = LlmApiKeyStatus { hash: Some(HASH.into()), ..LlmApiKeyStatus::default() };
    for (spec, status, observed, expected) in [
        (json!({"hash": HASH}), None, &nothing, Plan::Nothing),
        (json!({"secretName": "chat-key"}), None, &nothing, made(false)),
        (json!({"secretName": "chat-key"}), Some(known.clone()), &nothing, made(true)),
        (json!({"secretName": "chat-key"}), None, &stored, Plan::Keep { hash: HASH.into() }),
        (json!({"secretName": "chat-key", "state": "Revoked"}), Some(known), &nothing, Plan::Nothing),
        (json!({"secretName": "chat-key", "expiresAt": "2026-11-23T11:00:00Z"}), None, &nothing, Plan::Nothing),
    ] {
        let object = LlmApiKey { status, ..key(&spec) };
        let valid = validate(&object, &[]).unwrap();
        assert_eq!(plan(&object, &valid, observed, now()), expected);
    }
}

#[test]
fn the_secret_belongs_to_the_object_and_is_read_back() {
    let object = key(&json!({"secretName": "chat-key"}));
    let valid = validate(&object, &["team".to_owned()]).unwrap();
    let made = ApiKey::from_random(&[7; 32]);
    let [secret] = <[Secret; 1]>::try_from(build(&valid, "chat-key", &made).secrets).unwrap();
    let labels = secret.metadata.labels.clone().unwrap();
    assert_eq!((labels["team"].as_str(), labels[labels::API_KEY].as_str()), ("red", "chat"));
    assert!(!labels.contains_key("app"), "only labels that the settings allow are passed on");
    assert_eq!(observe::hash_of(&secret, "u1"), Some(made.hash()));
    assert_eq!(observe::hash_of(&secret, "u2"), None, "somebody else's Secret is not even hashed");
}

#[test]
fn a_spec_that_the_api_server_would_refuse_is_told() {
    for spec in [json!({}), json!({"hash": HASH, "secretName": "chat-key"})] {
        let object = key(&spec);
        let invalid = validate(&object, &[]).unwrap_err();
        let (is_ready, stalled, reason, message) = ready(&status::refused(&object, invalid, now()));
        assert_eq!((is_ready, stalled, reason.as_str()), (false, true, "InvalidSpec"));
        assert!(message.contains("exactly one of hash"), "{message}");
    }
}

#[test]
fn a_foreign_secret_is_a_conflict() {
    let object = key(&json!({"secretName": "chat-key"}));
    let taken = apply::Error::NameConflict {
        kind: "Secret".into(),
        key: Key::new("team-a", "chat-key"),
        holder: "somebody else".into(),
    };
    let trouble = status::trouble(&taken).unwrap();
    let (is_ready, stalled, reason, message) = ready(&judged(&object, None, Some(&trouble)));
    assert_eq!((is_ready, stalled, reason.as_str()), (false, true, "SecretConflict"));
    assert!(message.contains("chat-key exists and belongs to somebody else"), "{message}");
}
