//! What the controllers of keys and peers share: who came first, and until when a right holds. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;

use crate::{
    runner::Action,
    store::{Key, Kind, Store},
};

/// Whether an object was there before another: by creation, then by namespace and name.
fn age<K: Resource>(object: &K) -> (Option<Timestamp>, &str, &str) {
    let meta = object.meta();
    (
        meta.creation_timestamp.as_ref().map(|time| time.0),
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

/// The oldest object that is older than `object` and is found by `mark`.
pub(crate) fn older<K: Kind>(store: &Store<K>, object: &K, mark: &str) -> Option<Key> {
    let mut found: Option<K> = None;
    for key in store.marked(mark) {
        // One that cannot be read counts for nothing: the gateway cannot read it either.
        let Some(other) = store.get(&key).and_then(|cached| cached.parse().ok()) else { continue };
        let oldest = found.as_ref().unwrap_or(object);
        if age(&other) < age(oldest) {
            found = Some(other);
        }
    }
    found.map(|found| crate::status::key_of(&found))
}

/// How another object may be named to the owner of this one: those of other namespaces are not told apart.
pub(crate) fn name_of(other: &Key, own_namespace: &str, kind: &str) -> String {
    if other.namespace == own_namespace {
        format!("{kind} {}", other.name)
    } else {
        format!("an {kind} of another namespace")
    }
}

/// Whether the moment has come.
pub(crate) fn has_passed(end: Option<&Time>, now: Timestamp) -> bool {
    end.is_some_and(|end| end.0 <= now)
}

/// Look again when it comes.
pub(crate) fn until(end: Option<&Time>, now: Timestamp) -> Action {
    let Some(left) = end.map(|end| end.0.duration_since(now)).filter(jiff::SignedDuration::is_positive) else {
        return Action::await_change();
    };
    // A millisecond more: timers count in those, and one that is early finds nothing to do.
    let left = Duration::try_from(left).unwrap_or(Duration::MAX);
    Action::requeue_after(left.saturating_add(Duration::from_millis(1)))
}

/// " until ..." for a message.
pub(crate) fn until_words(end: Option<&Time>) -> String {
    end.map(|end| format!(" until {}", end.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alcazar_crds::llm_api_key::LlmApiKey;
    use serde_json::json;

    use super::*;
    use crate::store::WatchedObject;

    fn key(namespace: &str, name: &str, created: &str) -> serde_json::Value {
        json!({
            "metadata": {"namespace": namespace, "name": name, "uid": name, "resourceVersion": "1", "creationTimestamp": created},
            "spec": {"hash": "h", "owner": "o"},
        })
    }

    #[test]
    fn the_first_counts_then_the_name() {
        let store: Store<LlmApiKey> = Store::default();
        let early = "2026-11-23T10:00:00Z";
        for object in [key("b", "a", early), key("a", "z", early), key("a", "late", "2026-11-23T10:00:01Z")] {
            store.saw(WatchedObject::from_value(object).unwrap());
        }
        let of = |namespace, name, created| {
            let object: LlmApiKey = WatchedObject::from_value(key(namespace, name, created)).unwrap().parse().unwrap();
            older(&store, &object, "h")
        };
        assert_eq!(of("a", "z", early), None);
        assert_eq!(of("b", "a", early), Some(Key::new("a", "z")));
        assert_eq!(of("a", "late", "2026-11-23T10:00:01Z"), Some(Key::new("a", "z")));
        let other: LlmApiKey = WatchedObject::from_value(key("a", "z", early)).unwrap().parse().unwrap();
        assert_eq!(older(&store, &other, "another hash"), None);
    }

    #[test]
    fn comes_back_when_it_expires() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let at = |text: &str| Some(Time(text.parse().unwrap()));
        assert_eq!(until(None, now), Action::await_change());
        assert_eq!(until(at("2026-11-23T11:59:59Z").as_ref(), now), Action::await_change());
        let soon = until(at("2026-11-23T12:00:02Z").as_ref(), now);
        assert_eq!(soon, Action::requeue_after(Duration::from_millis(2001)));
        assert!(has_passed(at("2026-11-23T12:00:00Z").as_ref(), now) && !has_passed(None, now));
    }
}
