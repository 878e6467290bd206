//! Every node of every schema is bounded, typed and documented.

use serde_json::{Value, json};

use crate::manifest::manifests;

/// What is wrong below `schema`, as one line each.
fn faults(path: &str, schema: &Value) -> Vec<String> {
    let mut found = own_faults(schema).into_iter().map(|fault| format!("{path}: {fault}")).collect::<Vec<_>>();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if !name.chars().all(|c| c.is_ascii_alphanumeric()) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            found.push(format!("{path}: {name} is not camelCase"));
        }
        found.extend(faults(&format!("{path}.{name}"), field));
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            found.extend(faults(&format!("{path}{mark}"), &schema[key]));
        }
    }
    found
}

fn own_faults(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut need = |ok: bool, what: &str| {
        if !ok {
            found.push(what.to_owned());
        }
    };
    let has = |key: &str| !schema[key].is_null();
    need(schema["description"].as_str().is_some_and(|text| text.len() > 5), "no description");
    need(!has("nullable"), "nullable");
    need(schema.get("default") != Some(&Value::Null), "default null");
    match schema["type"].as_str() {
        Some("string") => {
            need(has("maxLength") || has("enum"), "string without maxLength or enum");
            for value in schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                need(value.starts_with(|c: char| c.is_ascii_uppercase()), "enum value not CamelCase");
            }
        }
        Some("integer") => {
            need(has("minimum") && has("maximum"), "integer without bounds");
            need(schema["minimum"].is_i64() && schema["maximum"].is_i64(), "bound is not whole");
            need(schema["format"] == "int32" || schema["format"] == "int64", "integer without int32 or int64");
        }
        Some("array") => {
            need(has("maxItems"), "list without maxItems");
            need(has("items"), "list without items");
            match schema["x-kubernetes-list-type"].as_str() {
                Some("atomic" | "set") => {}
                Some("map") => need(has("x-kubernetes-list-map-keys"), "list map without keys"),
                _ => need(false, "list without list type"),
            }
        }
        Some("object") => {
            need(has("properties") != has("additionalProperties"), "object with neither fields nor values, or both");
            need(!has("additionalProperties") || has("maxProperties"), "map without maxProperties");
        }
        other => need(false, &format!("type {other:?}")),
    }
    found
}

#[test]
fn every_node_is_bounded_and_documented() {
    let found: Vec<_> = manifests().iter().flat_map(|manifest| faults(&manifest.plural, manifest.schema())).collect();
    assert_eq!(found, Vec::<String>::new());
}

/// The walk itself must be able to fail.
#[test]
fn the_walk_finds_what_is_wrong() {
    for (schema, fault) in [
        (json!({"type": "string", "description": "A text."}), "string without maxLength or enum"),
        (json!({"type": "string", "description": "A text.", "enum": ["off"]}), "enum value not CamelCase"),
        (json!({"type": "integer", "description": "A count.", "minimum": 0, "maximum": 1}), "int32 or int64"),
        (json!({"type": "array", "description": "A list.", "items": {}, "maxItems": 1}), "list without list type"),
        (json!({"type": "boolean", "description": "A flag."}), "type Some(\"boolean\")"),
        (json!({"type": "number", "description": "A float."}), "type Some(\"number\")"),
        (json!({"type": "object", "properties": {"snake_case": {}}}), "no description"),
        (json!({"type": "object", "properties": {"snake_case": {}}}), "snake_case is not camelCase"),
    ] {
        let found = faults("x", &schema).join("\n");
        assert!(found.contains(fault), "{schema}: {found}");
    }
}

/// `(path, rule, message)` of every rule below `schema`.
fn all_rules(path: &str, schema: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> = schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|rule| (path.to_owned(), text(&rule["rule"]), text(&rule["message"])))
        .collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        found.extend(all_rules(&format!("{path}.{name}"), field));
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            found.extend(all_rules(&format!("{path}[]"), &schema[key]));
        }
    }
    found
}

#[test]
fn every_rule_says_what_must_be() {
    for manifest in manifests() {
        let rules = all_rules("", manifest.schema());
        assert!(rules.len() > 3, "{}: only {} rules", manifest.plural, rules.len());
        for (path, rule, message) in rules {
            assert!(!rule.contains('\n') && !rule.contains("  "), "{path}: {rule}");
            let says = message.strip_prefix("metadata.name ").unwrap_or(&message);
            assert!(says.starts_with("must "), "{path}: {message}");
            assert!(!message.ends_with('.') && !message.contains("  "), "{path}: {message}");
        }
    }
}

#[test]
fn a_new_object_has_a_status() {
    for manifest in manifests() {
        let status = &manifest.schema()["properties"]["status"];
        assert_eq!(status["default"], json!({"observedGeneration": -1}), "{}", manifest.plural);
        assert_eq!(status["properties"]["observedGeneration"]["minimum"], -1);
    }
}

/// Whoever owns replicas owns it alone: a default would take it from an autoscaler on every apply.
#[test]
fn replicas_has_no_default() {
    let manifests = manifests();
    let spec = &manifests[0].schema()["properties"]["spec"];
    assert_eq!(spec["properties"]["replicas"]["type"], "integer");
    assert!(spec["properties"]["replicas"].get("default").is_none());
    assert_eq!(spec["properties"]["network"]["default"], json!({"isolation": "Required"}));
}
