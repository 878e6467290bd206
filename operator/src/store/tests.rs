use alcazar_contract::labels;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use serde_json::json;

use super::*;

fn account(name: &str, uid: &str, version: u64, model: Option<&str>) -> WatchedObject<ServiceAccount> {
    let mut labels = json!({});
    if let Some(model) = model {
        labels[labels::MODEL] = json!(model);
    }
    WatchedObject::from_value(json!({
        "metadata": {"namespace": "team", "name": name, "uid": uid, "resourceVersion": version.to_string(), "labels": labels},
    }))
    .unwrap()
}

fn owner(model: &str) -> OwnerKey {
    OwnerKey { kind: OwnerKind::Model, key: Key::new("team", model) }
}

fn woken(changed: Option<Changed>) -> Vec<String> {
    changed.map(|changed| changed.owners.into_iter().map(|owner| owner.key.name).collect()).unwrap_or_default()
}

#[test]
fn what_is_older_than_our_own_write_is_ignored() {
    let store = Store::default();
    let key = Key::new("team", "a");
    assert_eq!(woken(store.saw(account("a", "u", 5, Some("m")))), ["m"]);
    store.wrote(account("a", "u", 9, Some("m")), Wrote::Child);
    assert!(store.get(&key).unwrap().written().is_some());
    assert_eq!(store.saw(account("a", "u", 7, Some("m"))), None, "an event from before our write");
    assert_eq!(store.get(&key).unwrap().version(), 9);
    assert_eq!(store.saw(account("a", "u", 9, Some("m"))).unwrap().echo, Some(Wrote::Child), "the event of our write");
    assert_eq!(store.saw(account("a", "u", 9, Some("m"))), None, "once");
    assert_eq!(woken(store.saw(account("a", "u", 11, Some("m")))), ["m"], "somebody else's write");
    assert!(store.get(&key).unwrap().written().is_none());
}

#[test]
fn the_event_of_our_write_may_come_first() {
    let store = Store::default();
    assert_eq!(store.saw(account("a", "u", 9, Some("m"))).unwrap().echo, None);
    store.wrote(account("a", "u", 9, Some("m")), Wrote::Status);
    assert!(store.get(&Key::new("team", "a")).unwrap().written().is_some(), "it is our write all the same");
    assert_eq!(store.saw(account("a", "u", 9, Some("m"))), None);
}

#[test]
fn a_deletion_from_before_we_made_it_anew_is_ignored() {
    let store = Store::default();
    let key = Key::new("team", "a");
    store.saw(account("a", "u1", 5, Some("m")));
    store.wrote(account("a", "u2", 9, Some("m")), Wrote::Child);
    assert_eq!(store.gone(account("a", "u1", 8, Some("m"))), None);
    assert_eq!(store.get(&key).unwrap().uid(), "u2");
    assert_eq!(woken(store.gone(account("a", "u2", 10, Some("m")))), ["m"]);
    assert!(store.get(&key).is_none());
    assert_eq!(store.gone(account("a", "u2", 10, Some("m"))), None);
}

#[test]
fn a_changed_label_wakes_the_old_owner_and_the_new_one() {
    let store = Store::default();
    store.saw(account("a", "u", 5, Some("m")));
    assert_eq!(woken(store.saw(account("a", "u", 6, Some("n")))), ["m", "n"]);
    assert!(store.of_owner(&owner("m")).is_empty());
    assert_eq!(store.of_owner(&owner("n")).len(), 1);
    // What lost our label arrives as a deletion, with the labels as they were taken away.
    assert_eq!(woken(store.gone(account("a", "u", 7, None))), ["n"]);
}

#[test]
fn a_list_drops_what_it_does_not_hold_but_not_what_we_wrote_meanwhile() {
    let store = Store::default();
    for (name, version) in [("a", 1), ("b", 2)] {
        store.saw(account(name, name, version, Some("m")));
    }
    let began = Instant::now();
    store.wrote(account("new", "n", 9, Some("m")), Wrote::Child);
    let listed = BTreeSet::from([Key::new("team", "a")]);
    assert_eq!(woken(store.retain_listed(None, &listed, began)), ["m"]);
    let mut left: Vec<String> = store.keys().into_iter().map(|key| key.name).collect();
    left.sort();
    assert_eq!(left, ["a", "new"]);
    assert_eq!(store.retain_listed(Some("other"), &BTreeSet::new(), Instant::now()), None, "another namespace's list");
    assert_eq!(store.retain_listed(None, &listed, began), None, "nothing to drop wakes nobody");
}

#[test]
fn is_synced_after_the_last_list() {
    let store = Store::<ServiceAccount>::default();
    store.expect_lists(2);
    assert!(!store.listed() && !store.is_synced());
    assert!(store.listed() && store.is_synced());
    assert!(!store.listed() && store.is_synced(), "a later list is not news");
}

#[test]
fn keeps_of_a_pod_only_how_it_fares() {
    let pod: WatchedObject<Pod> = WatchedObject::from_value(json!({
        "metadata": {
            "namespace": "team", "name": "p", "uid": "u", "resourceVersion": "1", "managedFields": [{"manager": "x"}],
            "annotations": {"alcazar.dev/secrets-hash": "h", "cni.example.com/status": "long"},
        },
        "spec": {"nodeName": "n", "volumes": [{"name": "v"}], "containers": [{"name": "c", "image": "i", "env": [{"name": "X"}]}]},
        "status": {"phase": "Running"},
    }))
    .unwrap();
    let kept: serde_json::Value = serde_json::from_str(&pod.json).unwrap();
    assert_eq!(kept["spec"], json!({"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}));
    assert_eq!(kept["metadata"]["annotations"], json!({"alcazar.dev/secrets-hash": "h"}));
    assert!(kept["metadata"].get("managedFields").is_none());
    assert_eq!(kept["status"]["phase"], "Running");
    assert_eq!(pod.parse().unwrap().metadata.name.as_deref(), Some("p"));
}

#[test]
fn an_object_of_a_wrong_shape_is_kept_and_fails_alone() {
    let odd: WatchedObject<Pod> = serde_json::from_value(json!({
        "metadata": {"namespace": "team", "name": "p", "uid": "u", "resourceVersion": "1"}, "spec": {"containers": 7},
    }))
    .unwrap();
    let store = Store::default();
    assert!(store.saw(odd).is_some());
    assert!(store.get(&Key::new("team", "p")).unwrap().parse().is_err());
    assert!(serde_json::from_value::<WatchedObject<Pod>>(json!({"spec": {}})).is_err());
}

fn key(version: u64, requests: u64, hash: &str) -> WatchedObject<alcazar_crds::llm_api_key::LlmApiKey> {
    WatchedObject::from_value(json!({
        "metadata": {"namespace": "team", "name": "k", "uid": "u", "resourceVersion": version.to_string()},
        "spec": {"hash": hash, "owner": "ana"},
        "status": {"observedGeneration": 1, "usage": {"requests": requests}, "lastUsedTime": "2026-11-23T12:00:00Z"},
    }))
    .unwrap()
}

#[test]
fn what_only_the_gateway_writes_is_no_news() {
    let store = Store::default();
    assert!(store.saw(key(1, 0, "a")).is_some());
    assert_eq!(store.saw(key(2, 9, "a")), None);
    assert_eq!(store.get(&Key::new("team", "k")).unwrap().version(), 2, "the version moves on all the same");
    let seen = store.get(&Key::new("team", "k")).unwrap().value().unwrap();
    assert_eq!(seen["status"], json!({"observedGeneration": 1}));
}

#[test]
fn an_object_is_found_by_its_marks_and_a_change_tells_the_old_ones() {
    let store = Store::default();
    store.saw(key(1, 0, "a"));
    let marks: Vec<_> = store.saw(key(2, 0, "b")).unwrap().marks.into_iter().collect();
    assert_eq!(marks, ["a".into(), "b".into()]);
    assert_eq!((store.marked("a"), store.marked("b")), (vec![], vec![Key::new("team", "k")]));
    assert_eq!(store.gone(key(3, 0, "b")).unwrap().marks.len(), 1);
    assert!(store.marked("b").is_empty());
}
