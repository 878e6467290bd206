//! Objects that name their properties and say nothing of others get no others.
//!
//! Such answers validate all the same, and a small model that may invent properties invents them without end.

use serde_json::{Map, Value};

/// Words beside which an object is more than its own properties.
const COMPOSED: [&str; 8] =
    ["$ref", "anyOf", "oneOf", "not", "if", "patternProperties", "unevaluatedProperties", "dependentSchemas"];

/// Closes a schema's objects; one that is composed of several by `allOf` stays as it is.
pub(super) fn closed(mut schema: Value) -> Value {
    if !schema.to_string().contains("\"allOf\"") {
        close(&mut schema);
    }
    schema
}

fn close(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    for (key, inner) in object.iter_mut() {
        match (key.as_str(), inner) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => named.values_mut().for_each(close),
            ("anyOf" | "oneOf" | "prefixItems", Value::Array(several)) => several.iter_mut().for_each(close),
            ("items" | "additionalProperties", inner) => close(inner),
            _ => {}
        }
    }
    if object.contains_key("properties") && !object.contains_key("additionalProperties") && !is_composed(object) {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
}

fn is_composed(object: &Map<String, Value>) -> bool {
    COMPOSED.iter().any(|word| object.contains_key(*word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_plain_objects_are_closed() {
        let schema = json!({
            "properties": {
                "a": {"properties": {"properties": {"type": "string"}}}, "b": {"type": "object"},
                "c": {"properties": {}, "additionalProperties": true}, "d": {"properties": {}, "anyOf": [{"properties": {}}]},
            },
            "items": [], "const": {"properties": {}},
        });
        let closed = closed(schema);
        assert_eq!(closed["additionalProperties"], false);
        assert_eq!(closed["properties"]["a"]["additionalProperties"], false);
        assert_eq!(closed["properties"]["a"]["properties"]["properties"], json!({"type": "string"}));
        assert_eq!(closed["properties"]["b"], json!({"type": "object"}));
        assert_eq!(closed["properties"]["c"]["additionalProperties"], true);
        assert_eq!(closed["properties"]["d"].get("additionalProperties"), None);
        assert_eq!(closed["properties"]["d"]["anyOf"][0]["additionalProperties"], false);
        assert_eq!(closed["const"], json!({"properties": {}}));
        let composed = json!({"allOf": [{"properties": {}}]});
        assert_eq!(super::closed(composed.clone()), composed);
    }
}
