//! What somebody put into an object of ours that must not be there, and the patch that takes it out. Pure.
//!
//! Server-side apply leaves alone what others added: a container in our pods, a port on our Service. In the parts of an object
//! that decide what runs with which rights, that is not wanted.

use serde_json::{Map, Value};

use super::{is_same_item, merge_keys};

/// Fields that we may leave out, and that nobody else may put in.
const NEVER: [&str; 12] = [
    "initContainers",
    "env",
    "envFrom",
    "command",
    "lifecycle",
    "volumeDevices",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "privileged",
    "procMount",
];
/// Lists with keys that are ours as a whole. Owner references and pull secrets may be added by others.
const OURS: [&str; 6] = ["containers", "initContainers", "volumes", "volumeMounts", "env", "ports"];

/// A JSON merge patch that takes out what must not be there; `None`: nothing is. It speaks of the spec alone.
#[must_use]
pub fn surplus(desired: &Value, live: &Value) -> Option<Value> {
    let patch = of_object(desired.get("spec")?.as_object()?, live.get("spec")?.as_object()?)?;
    Some(serde_json::json!({ "spec": patch }))
}

fn of_object(desired: &Map<String, Value>, live: &Map<String, Value>) -> Option<Value> {
    let mut patch = Map::new();
    for (field, found) in live {
        let part = match desired.get(field) {
            Some(wanted) => of_field(field, wanted, found),
            None => (NEVER.contains(&field.as_str()) && means_something(field, found)).then_some(Value::Null),
        };
        if let Some(part) = part {
            patch.insert(field.clone(), part);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn of_field(field: &str, wanted: &Value, found: &Value) -> Option<Value> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => of_object(wanted, found),
        (Value::Array(items), Value::Array(found)) if OURS.contains(&field) => {
            of_list(field, items, found).then(|| wanted.clone())
        }
        _ => None,
    }
}

/// Whether a list holds an item, or an item of it a field, that must not be there. A merge patch replaces lists whole.
fn of_list(field: &str, wanted: &[Value], found: &[Value]) -> bool {
    let keys = merge_keys(field, wanted);
    !keys.is_empty()
        && found.iter().any(|item| match wanted.iter().find(|twin| is_same_item(keys, twin, item)) {
            None => true,
            Some(twin) => match (twin.as_object(), item.as_object()) {
                (Some(twin), Some(item)) => of_object(twin, item).is_some(),
                _ => false,
            },
        })
}

/// The API server's own `procMount: Default`, or a `false`, changes nothing.
fn means_something(field: &str, found: &Value) -> bool {
    match found {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !(field == "procMount" && text == "Default"),
        _ => true,
    }
}
