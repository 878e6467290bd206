//! Whether what is in the cluster already is what we want. Pure.
//!
//! Every field that we set must be there and equal. Fields that we do not set (the API server's defaults, other people's
//! labels, injected containers) are none of our business. Fields that we once set and no longer do are caught by the hash of
//! the whole desired object, kept in an annotation: it differs, so the object is applied and the API server drops them.

use alcazar_contract::labels;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use self::surplus::surplus;

pub mod quantity;
mod surplus;
#[cfg(test)]
mod tests;

/// Writes the hash of the whole desired object into its annotations.
pub fn stamp(desired: &mut Value) {
    let hash = hash(desired);
    let metadata = entry(desired, "metadata");
    let annotations = entry(metadata, "annotations");
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(labels::APPLIED_HASH.to_owned(), Value::String(hash));
    }
}

/// The object at that field, made if there is none.
fn entry<'a>(object: &'a mut Value, field: &str) -> &'a mut Value {
    let inner = &mut object[field];
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    inner
}

/// Sixteen hex digits over the canonical text of a value: keys sorted at every level.
#[must_use]
pub fn hash(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(&mut hasher, value);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize()[..8]);
    format!("{:016x}", u64::from_be_bytes(first))
}

fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            hasher.update(b"{");
            for key in keys {
                feed(hasher, &Value::String(key.clone()));
                hasher.update(b":");
                feed(hasher, &map[key]);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(hasher, item);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        scalar => hasher.update(scalar.to_string().as_bytes()),
    }
}

/// The first field of `desired` that `live` lacks or has otherwise, as a path; `None`: nothing to apply.
#[must_use]
pub fn difference(desired: &Value, live: &Value) -> Option<String> {
    let mut path = Vec::new();
    if equal(desired, Some(live), &mut path) { None } else { Some(path.join(".")) }
}

/// As [`difference`], of the metadata alone: for kinds whose spec is written once.
#[must_use]
pub fn metadata_difference(desired: &Value, live: &Value) -> Option<String> {
    let (desired, live) = (desired.get("metadata")?, live.get("metadata")?);
    difference(desired, live).map(|path| format!("metadata.{path}"))
}

/// Stands for what an object is to be and what it is, less what the API server itself changes all the time.
#[must_use]
pub fn fingerprint(desired: &Value, live: &Value) -> String {
    let mut live = live.clone();
    if let Some(fields) = live.as_object_mut() {
        fields.remove("status");
    }
    if let Some(meta) = live.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.retain(|field, _| matches!(field.as_str(), "uid" | "labels" | "annotations" | "ownerReferences"));
        if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| key == labels::APPLIED_HASH);
        }
    }
    hash(&Value::Array(vec![desired.clone(), live]))
}

/// Leaves the path of the difference in `path` when it answers false.
fn equal(desired: &Value, live: Option<&Value>, path: &mut Vec<String>) -> bool {
    match (desired, live) {
        (Value::Null, _) => true,
        (desired, None | Some(Value::Null)) => is_same_as_absent(desired, path),
        (Value::Object(desired), Some(Value::Object(live))) => {
            desired.iter().all(|(field, value)| step(path, field.clone(), |path| equal(value, live.get(field), path)))
                && live.iter().all(|(field, value)| desired.contains_key(field) || may_be_added(field, value, path))
        }
        (Value::Array(desired), Some(Value::Array(live))) => equal_lists(desired, live, path),
        (desired, Some(live)) => desired == live || (holds_quantities(path) && quantity::same(desired, live)),
    }
}

fn step(path: &mut Vec<String>, name: String, compare: impl FnOnce(&mut Vec<String>) -> bool) -> bool {
    path.push(name);
    let same = compare(path);
    if same {
        path.pop();
    }
    same
}

/// Whether somebody may add that field beside ours. Not to a selector or a rule of a firewall: these are one value for the
/// API server too, and another key in them makes them mean something else.
fn may_be_added(field: &str, value: &Value, path: &[String]) -> bool {
    const WHOLE: [&str; 7] =
        ["podSelector", "namespaceSelector", "labelSelector", "selector", "nodeSelector", "ingress", "egress"];
    let whole = path.iter().any(|part| WHOLE.contains(&part.as_str()));
    !whole || value.is_null() || (field == "protocol" && value == "TCP")
}

/// What the API server does not store: empty lists, empty texts, and empty objects that do not mean 'everything'.
fn is_same_as_absent(desired: &Value, path: &[String]) -> bool {
    const MEANS_SOMETHING: [&str; 3] = ["podSelector", "namespaceSelector", "emptyDir"];
    match desired {
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => {
            fields.is_empty() && path.last().is_none_or(|field| !MEANS_SOMETHING.contains(&field.as_str()))
        }
        _ => false,
    }
}

fn equal_lists(desired: &[Value], live: &[Value], path: &mut Vec<String>) -> bool {
    let keys = path.last().map_or(&[][..], |field| merge_keys(field, desired));
    if keys.is_empty() {
        // No keys: the list is one value, whole and in order.
        return desired.len() == live.len()
            && desired.iter().zip(live).enumerate().all(|(index, (desired, live))| {
                step(path, index.to_string(), |path| equal(desired, Some(live), path))
            });
    }
    desired.iter().all(|item| {
        let twin = live.iter().find(|other| is_same_item(keys, item, other));
        step(path, name_of(keys, item), |path| match twin {
            Some(twin) => equal(item, Some(twin), path),
            None => false,
        })
    })
}

/// How the API server tells the elements of a list apart (`listMapKeys` of its schema), for the kinds that we write.
fn merge_keys(field: &str, items: &[Value]) -> &'static [&'static str] {
    let have = |key: &str| items.iter().all(|item| item.get(key).is_some());
    match field {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" if have("name") => &["name"],
        "ports" if have("containerPort") => &["containerPort", "protocol"],
        // A Service's ports say `port` and may say `targetPort`; a policy's ports are one value, not told apart by key.
        "ports" if have("port") && have("name") => &["port", "protocol"],
        "volumeMounts" if have("mountPath") => &["mountPath"],
        "ownerReferences" if have("uid") => &["uid"],
        "conditions" if have("type") => &["type"],
        "topologySpreadConstraints" if have("topologyKey") => &["topologyKey", "whenUnsatisfiable"],
        _ => &[],
    }
}

fn is_same_item(keys: &[&str], desired: &Value, live: &Value) -> bool {
    keys.iter().all(|key| same_key(key, desired, live))
}

fn same_key(key: &str, desired: &Value, live: &Value) -> bool {
    let default = || (key == "protocol").then_some("TCP");
    let of = |item: &Value| item.get(key).cloned().or_else(|| default().map(Value::from));
    of(desired) == of(live)
}

fn name_of(keys: &[&str], item: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    keys.iter().filter_map(|key| item.get(*key).map(text)).collect::<Vec<_>>().join("/")
}

/// Whether a scalar at this path is a quantity, equal by value and not by spelling.
fn holds_quantities(path: &[String]) -> bool {
    let parent = path.len().checked_sub(2).map(|index| path[index].as_str());
    matches!(parent, Some("requests" | "limits" | "capacity" | "hard"))
        || path.last().is_some_and(|field| field == "sizeLimit")
}
