//! Who may do what, and that nothing tells more than that.

use serde_json::Value;

use super::rig::{Authority, KEY, Options, Pod, Running, chat, get, key, model, post, send};
use crate::{
    audit,
    key::{Hash, Key, Name},
    settings::Audit,
    world::Model,
};

const OTHER: &str = "alc_other";

async fn rig() -> (Authority, Pod, Running) {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let running = Running::start(&authority, Options::default()).await;
    let mut other = key();
    (other.name, other.hash) = (Name::new("team-b", "bo"), Hash::of(OTHER));
    let mut limited = key();
    (limited.name, limited.hash) = (Name::new("team-a", "limited"), Hash::of("alc_limited"));
    limited.models = vec!["elsewhere".into()];
    let mut revoked = key();
    (revoked.name, revoked.hash, revoked.is_revoked) = (Name::new("team-a", "old"), Hash::of("alc_revoked"), true);
    let served = Model { adapters: vec!["tuned".into()], digest: "sha256:1".into(), ..model(&[&pod]) };
    let hidden = Model { name: "hidden".into(), namespace: "team-b".into(), ..Model::default() };
    running.knows(vec![key(), other, limited, revoked], vec![served, hidden], Vec::new());
    (authority, pod, running)
}

fn body(model: &str) -> String {
    format!(r#"{{"model":"{model}","prompt":"canary-prompt"}}"#)
}

#[tokio::test]
async fn a_key_opens_the_models_of_its_namespace() {
    let (authority, pod, running) = rig().await;
    let got = send(&authority, running.address, chat()).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(got.headers["x-request-id"].len(), 32);
    let adapter = send(&authority, running.address, post("/v1/completions", KEY, &body("tuned"))).await;
    assert_eq!((adapter.status, adapter.body.contains("tuned")), (200, true));
    let seen = pod.seen.lock().expect("not poisoned").clone();
    assert_eq!((seen[0].path.as_str(), seen[1].path.as_str()), ("/v1/chat/completions", "/v1/completions"));
    assert!(!seen[0].headers.contains_key("authorization"));
    assert_eq!(seen[0].headers["x-request-id"], got.headers["x-request-id"]);
    assert_eq!(&seen[1].body[..], body("tuned").as_bytes());
}

#[tokio::test]
async fn refusals_give_no_hint() {
    let (authority, pod, running) = rig().await;
    let of =
        async |key: &str| send(&authority, running.address, post("/v1/completions", key, &body("assistant"))).await;
    let unknown = of("alc_nobody").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (401, "invalid_api_key"));
    // The hash of no text opens nothing to those who send none.
    let mut empty = key();
    (empty.name, empty.hash) = (Name::new("team-a", "empty"), Hash::of(""));
    let models = running.world.borrow().models().map(|model| Model::clone(model)).collect();
    let mut keys = vec![key(), empty];
    for text in ["alc_limited", "alc_revoked", OTHER] {
        keys.extend(running.world.borrow().key(&Hash::of(text)).map(|key| Key::clone(key)));
    }
    running.knows(keys, models, Vec::new());
    for key in ["", "alc_revoked", "garbage", "alc_nobody alc_nobody"] {
        let got = of(key).await;
        assert_eq!((got.status, &got.body), (401, &unknown.body), "{key}");
    }
    // Unknown, of another namespace, not allowed: one answer.
    let ask = async |key: &str, model: &str| {
        send(&authority, running.address, post("/v1/completions", key, &body(model))).await
    };
    let nowhere = ask(KEY, "nowhere").await;
    assert_eq!((nowhere.status, nowhere.code().as_str()), (404, "model_not_found"));
    for (key, model) in [(KEY, "hidden"), (OTHER, "assistant"), (OTHER, "tuned"), ("alc_limited", "assistant")] {
        let got = ask(key, model).await;
        assert_eq!((got.status, &got.body), (404, &nowhere.body), "{key} {model}");
    }
    assert_eq!(pod.requests(), 0);
}

#[tokio::test]
async fn a_key_in_the_address_is_refused() {
    let (authority, _pod, running) = rig().await;
    for path in [format!("/v1/models?key={KEY}"), format!("/v1/models?x={KEY}")] {
        let got = send(&authority, running.address, get(&path, KEY)).await;
        assert_eq!((got.status, got.body.contains(KEY)), (401, false));
    }
}

#[tokio::test]
async fn models_are_those_of_the_key() {
    let (authority, _pod, running) = rig().await;
    let list = async |key: &str| {
        let got = send(&authority, running.address, get("/v1/models", key)).await;
        let body: Value = serde_json::from_str(&got.body).expect("JSON");
        body["data"].as_array().expect("a list").iter().map(|card| card["id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(KEY).await, ["\"assistant\"", "\"tuned\""]);
    assert_eq!(list(OTHER).await, ["\"hidden\""]);
    assert_eq!(list("alc_limited").await, Vec::<String>::new());
    let one =
        async |key: &str, id: &str| send(&authority, running.address, get(&format!("/v1/models/{id}"), key)).await;
    assert_eq!(one(KEY, "tuned").await.status, 200);
    assert_eq!(one(OTHER, "assistant").await.status, 404);
    assert_eq!(send(&authority, running.address, get("/v1/nothing", KEY)).await.status, 404);
    assert_eq!(send(&authority, running.address, get("/v1/embeddings", KEY)).await.status, 405);
    assert_eq!(send(&authority, running.address, get("/v1/nothing", "no key")).await.status, 401);
}

#[tokio::test]
async fn every_answer_has_its_record_and_no_text_is_in_it() {
    let (authority, _pod, running) = rig().await;
    send(&authority, running.address, post("/v1/completions", KEY, &body("assistant"))).await;
    send(&authority, running.address, post("/v1/completions", KEY, &body("canary-model"))).await;
    let path = authority.path("audit.log");
    let text = || std::fs::read_to_string(&path).unwrap_or_default();
    super::rig::until(|| text().lines().count() == 2).await;
    assert_eq!(audit::verify_files(&[&path]).expect("one chain").lines, 2);
    let lines: Vec<Value> = text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let first = &lines[0];
    for (field, value) in [
        ("key", "team-a/ana".into()),
        ("model", "assistant".into()),
        ("digest", "sha256:1".into()),
        ("route", "/v1/completions".into()),
        ("status", Value::from(200)),
        ("promptTokens", 3.into()),
        ("completionTokens", 4.into()),
    ] {
        assert_eq!(first[field], value, "{field}");
    }
    assert_eq!((&lines[1]["status"], &lines[1]["model"]), (&404.into(), &"".into()));
    assert!(!text().contains("canary") && !text().contains(KEY));
    let metrics = String::from_utf8(running.gateway.metrics.render().expect("metrics")).expect("text");
    assert!(metrics.contains(r#"requests_total{code="200",key="ana",model="assistant",namespace="team-a"} 1"#));
    assert!(!metrics.contains("canary"));
}

#[tokio::test]
async fn prompts_are_kept_only_where_the_deployment_says_so() {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let dir = authority.path("kept");
    std::fs::create_dir(&dir).expect("a directory");
    let audit = Audit { file: dir.join("audit.log"), ..Audit::default() };
    let running = Running::start(&authority, Options { audit, ..Options::default() }).await;
    let kept = Model { prompt_days: Some(7), ..model(&[&pod]) };
    running.knows(vec![key()], vec![kept], Vec::new());
    send(&authority, running.address, post("/v1/completions", KEY, &body("assistant"))).await;
    running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
    send(&authority, running.address, post("/v1/completions", KEY, &body("assistant"))).await;
    let files = || {
        let entries = std::fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.to_string_lossy().ends_with("_keep7.jsonl")).collect::<Vec<_>>()
    };
    super::rig::until(|| std::fs::read_to_string(dir.join("audit.log")).unwrap_or_default().lines().count() == 2).await;
    super::rig::until(|| files().len() == 1).await;
    let text = std::fs::read_to_string(&files()[0]).expect("a file");
    assert_eq!((text.lines().count(), text.contains("canary-prompt"), text.contains("total_tokens")), (1, true, true));
    assert!(!text.contains(KEY));
}
