//! The tables of fields.

use std::fmt::{Result, Write};

use serde_json::Value;

/// Writes a row for every field below `schema`.
pub(super) fn table(page: &mut String, path: &str, schema: &Value) -> Result {
    writeln!(page, "| Field | Type | Bounds | Meaning |\n|---|---|---|---|")?;
    rows(page, path, schema)
}

fn rows(page: &mut String, path: &str, schema: &Value) -> Result {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let need = if required.contains(&name.as_str()) { " **required**" } else { "" };
        let elsewhere = super::told_elsewhere(&path);
        let more = elsewhere.map(|words| format!(" {words}")).unwrap_or_default();
        writeln!(page, "| `{path}`{need} | {} | {} | {}{more} |", kind(field), bounds(field), text(field))?;
        if elsewhere.is_none() {
            rows(page, &path, field)?;
            rows(page, &format!("{path}[]"), &field["items"])?;
        }
    }
    Ok(())
}

/// The description on one line.
pub(super) fn text(schema: &Value) -> String {
    cell(schema["description"].as_str().unwrap_or_default())
}

fn kind(schema: &Value) -> String {
    match schema["type"].as_str().unwrap_or_default() {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => "map of string".to_owned(),
        "integer" => schema["format"].as_str().unwrap_or("integer").to_owned(),
        "string" if schema["format"] == "date-time" => "time".to_owned(),
        "string" if schema["enum"].is_array() => "enum".to_owned(),
        other => other.to_owned(),
    }
}

fn bounds(schema: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(values) = schema["enum"].as_array().or_else(|| schema["items"]["enum"].as_array()) {
        let values: Vec<_> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        parts.push(values.join(", "));
    }
    for (low, high, unit) in [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " keys"),
    ] {
        if low == "minLength" && schema["pattern"].is_string() {
            continue; // a pattern says more than its length, and the meaning says it in words
        }
        match (schema[low].as_i64(), schema[high].as_i64()) {
            (Some(low), Some(high)) if low == high => parts.push(format!("{low}{unit}")),
            (Some(low), Some(high)) => parts.push(format!("{low} to {high}{unit}")),
            (None, Some(high)) => parts.push(format!("at most {high}{unit}")),
            _ => {}
        }
    }
    if let Some(default) = schema.get("default") {
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        parts.push(format!("default `{default}`"));
    }
    parts.join("; ")
}

/// Text that may stand in a cell.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
