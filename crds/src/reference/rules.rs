//! The tables of CEL rules.

use std::fmt::{Result, Write};

use serde_json::Value;

use super::fields::cell;

/// Writes a row for every rule below `schema`.
pub(super) fn table(page: &mut String, schema: &Value) -> Result {
    writeln!(page, "| Where | Answer of the API server | Rule |\n|---|---|---|")?;
    rows(page, "", schema)
}

fn rows(page: &mut String, path: &str, schema: &Value) -> Result {
    if super::told_elsewhere(path).is_some() || schema.is_null() {
        return Ok(());
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let place = if path.is_empty() { "the object" } else { path };
        let [answer, rule] = ["message", "rule"].map(|key| cell(rule[key].as_str().unwrap_or_default()));
        writeln!(page, "| `{place}` | {answer} | `{rule}` |")?;
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        rows(page, &format!("{path}.{name}"), field)?;
    }
    rows(page, &format!("{path}[]"), &schema["items"])
}
