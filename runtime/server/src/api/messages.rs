//! Pure: messages of a conversation, as templates expect them.

use serde_json::{Map, Value};

use super::{
    ApiError,
    fields::{Fields, kind_of, wrong_type},
};

/// The messages of a request, at least one.
pub(super) fn take(fields: &mut Fields) -> Result<Value, ApiError> {
    let messages = match fields.take("messages") {
        None => {
            return Err(ApiError::field(
                "messages",
                "missing_required_parameter",
                "is missing; send at least one message",
            ));
        }
        Some(Value::Array(messages)) if messages.is_empty() => {
            return Err(ApiError::field("messages", "invalid_value", "must hold at least one message"));
        }
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(wrong_type("messages", "a list of messages", &other)),
    };
    let messages = messages.into_iter().enumerate().map(|(n, message)| parse(&format!("messages[{n}]"), message));
    Ok(messages.collect::<Result<Vec<_>, _>>()?.into())
}

/// One message: a role, a string, and what belongs to the role.
pub(super) fn parse(place: &str, message: Value) -> Result<Value, ApiError> {
    let Value::Object(message) = message else { return Err(wrong_type(place, "an object", &message)) };
    let mut message = Fields::new(message);
    let within = |error: ApiError| error.within(place);
    let role = role(&mut message).map_err(within)?;
    let calls = tool_calls(&mut message).map_err(within)?;
    if !calls.is_empty() && role != "assistant" {
        let error = ApiError::field("tool_calls", "invalid_value", "must only be in messages of the assistant");
        return Err(within(error));
    }
    let content = match message.take("content") {
        None if role == "assistant" => String::new(),
        None => return Err(within(ApiError::field("content", "missing_required_parameter", "is missing"))),
        Some(content) => text("content", content).map_err(within)?,
    };
    let mut parsed = Map::from_iter([("role".to_owned(), role.into()), ("content".to_owned(), content.into())]);
    for name in ["name", "tool_call_id", "reasoning_content"] {
        if let Some(text) = message.string(name).map_err(within)? {
            parsed.insert(name.to_owned(), text.into());
        }
    }
    if !calls.is_empty() {
        parsed.insert("tool_calls".to_owned(), calls.into());
    }
    Ok(parsed.into())
}

fn role(message: &mut Fields) -> Result<&'static str, ApiError> {
    let role = message.string("role")?;
    match role.as_deref() {
        None => Err(ApiError::field("role", "missing_required_parameter", "is missing")),
        // The newer name of the same thing; templates know the older one.
        Some("system" | "developer") => Ok("system"),
        Some("user") => Ok("user"),
        Some("assistant") => Ok("assistant"),
        Some("tool") => Ok("tool"),
        Some(_) => Err(ApiError::field("role", "invalid_value", "must be system, developer, user, assistant or tool")),
    }
}

/// A string, or parts of text, a line each.
pub(super) fn text(place: &str, content: Value) -> Result<String, ApiError> {
    match content {
        Value::String(text) => Ok(text),
        Value::Array(parts) => {
            let texts = parts.iter().enumerate().map(|(n, part)| part_text(&format!("{place}[{n}]"), part));
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        other => Err(wrong_type(place, "a string or a list of parts", &other)),
    }
}

fn part_text<'a>(place: &str, part: &'a Value) -> Result<&'a str, ApiError> {
    match (part["type"].as_str(), &part["text"]) {
        // The last two are what the responses API calls them.
        (Some("text" | "input_text" | "output_text"), Value::String(text)) => Ok(text),
        (Some("text" | "input_text" | "output_text"), other) => {
            let message = format!("must be a string, found {}", kind_of(other));
            Err(ApiError::field(format!("{place}.text"), "invalid_type", message))
        }
        _ => {
            let message = "must be 'text': this model reads text only";
            Err(ApiError::field(format!("{place}.type"), "unsupported_value", message))
        }
    }
}

/// Earlier calls, their arguments as the object that templates write.
fn tool_calls(message: &mut Fields) -> Result<Vec<Value>, ApiError> {
    let calls = message.array("tool_calls")?.unwrap_or_default();
    let parse = |(n, call): (usize, Value)| {
        let place = format!("tool_calls[{n}]");
        let Value::Object(call) = call else { return Err(wrong_type(&place, "an object", &call)) };
        tool_call(Fields::new(call)).map_err(|error| error.within(&place))
    };
    calls.into_iter().enumerate().map(parse).collect()
}

fn tool_call(mut call: Fields) -> Result<Value, ApiError> {
    let id = call.string("id")?.unwrap_or_default();
    let missing = |name: &str| ApiError::field(name, "missing_required_parameter", "is missing");
    let mut function = call.object("function")?.ok_or_else(|| missing("function"))?;
    let within = |error: ApiError| error.within("function");
    let name = function.string("name").map_err(within)?.ok_or_else(|| within(missing("name")))?;
    let arguments = arguments(function.take("arguments")).map_err(within)?;
    Ok(serde_json::json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
}

/// Arguments come as JSON in a string; an object is taken, too.
pub(super) fn arguments(value: Option<Value>) -> Result<Value, ApiError> {
    let parsed = match value {
        None => return Ok(Map::new().into()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Map::new().into()),
        Some(Value::String(text)) => serde_json::from_str(&text).ok(),
        Some(other) => Some(other),
    };
    let object = parsed.filter(Value::is_object);
    object.ok_or_else(|| ApiError::field("arguments", "invalid_value", "must be a string with a JSON object"))
}
