//! Pure: the items of a request as messages.

use serde_json::{Value, json};

use super::super::{
    ApiError,
    fields::{Fields, wrong_type},
    messages,
};

/// `instructions` and `input`, at least one message.
pub(super) fn messages(fields: &mut Fields) -> Result<Value, ApiError> {
    let mut found = Vec::new();
    if let Some(instructions) = fields.string("instructions")? {
        found.push(json!({"role": "system", "content": instructions}));
    }
    match fields.take("input") {
        None => return Err(ApiError::field("input", "missing_required_parameter", "is missing")),
        Some(Value::String(text)) => found.push(json!({"role": "user", "content": text})),
        Some(Value::Array(items)) if items.is_empty() => {
            return Err(ApiError::field("input", "invalid_value", "must hold at least one item"));
        }
        Some(Value::Array(items)) => {
            for (n, item) in items.into_iter().enumerate() {
                add(&format!("input[{n}]"), item, &mut found)?;
            }
        }
        Some(other) => return Err(wrong_type("input", "a string or a list of items", &other)),
    }
    Ok(found.into())
}

fn add(place: &str, item: Value, found: &mut Vec<Value>) -> Result<(), ApiError> {
    let Value::Object(object) = item else { return Err(wrong_type(place, "an object", &item)) };
    let kind = object.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    let mut fields = Fields::new(object);
    let within = |error: ApiError| error.within(place);
    match kind.as_str() {
        "message" => found.push(messages::parse(place, fields.into_map().into())?),
        "function_call" => call(fields, found).map_err(within)?,
        "function_call_output" => found.push(output(&mut fields).map_err(within)?),
        // What a model thought is not told to it again.
        "reasoning" => {}
        _ => {
            let message = "must be message, function_call, function_call_output or reasoning";
            return Err(within(ApiError::field("type", "unsupported_value", message)));
        }
    }
    Ok(())
}

/// A call belongs to the assistant's message before it; several make one message.
fn call(mut fields: Fields, found: &mut Vec<Value>) -> Result<(), ApiError> {
    let missing = |name: &str| ApiError::field(name, "missing_required_parameter", "is missing");
    let id = fields.string("call_id")?.ok_or_else(|| missing("call_id"))?;
    let name = fields.string("name")?.ok_or_else(|| missing("name"))?;
    let arguments = messages::arguments(fields.take("arguments"))?;
    let call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    match found.last_mut().filter(|last| last["role"] == "assistant") {
        Some(last) => match last["tool_calls"].as_array_mut() {
            Some(calls) => calls.push(call),
            None => last["tool_calls"] = json!([call]),
        },
        None => found.push(json!({"role": "assistant", "content": "", "tool_calls": [call]})),
    }
    Ok(())
}

fn output(fields: &mut Fields) -> Result<Value, ApiError> {
    let missing = |name: &str| ApiError::field(name, "missing_required_parameter", "is missing");
    let id = fields.string("call_id")?.ok_or_else(|| missing("call_id"))?;
    let content = fields.take("output").ok_or_else(|| missing("output"))?;
    let content = messages::text("output", content)?;
    Ok(json!({"role": "tool", "tool_call_id": id, "content": content}))
}
