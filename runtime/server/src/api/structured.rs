//! Pure: what an answer must look like, by OpenAI's `response_format` and vLLM's names for more.

use alcazar_text::Grammar;
use serde_json::Value;

use super::{
    ApiError,
    fields::{Fields, wrong_type},
};

/// A grammar and the field that asks for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub grammar: Grammar,
    pub field: String,
}

/// Takes the one grammar that a request may ask for.
pub(super) fn take(fields: &mut Fields) -> Result<Option<Asked>, ApiError> {
    let mut asked: Vec<Asked> = response_format(fields)?.into_iter().collect();
    if let Some(mut outer) = fields.object("structured_outputs")? {
        let within = |error: ApiError| error.within("structured_outputs");
        let inner = named(&mut outer, "").map_err(within)?;
        asked.extend(
            inner.into_iter().map(|asked| Asked { field: format!("structured_outputs.{}", asked.field), ..asked }),
        );
        if outer.bool("json_object").map_err(within)?.unwrap_or(false) {
            asked.push(Asked { grammar: Grammar::JsonObject, field: "structured_outputs.json_object".to_owned() });
        }
    }
    asked.extend(named(fields, "guided_")?);
    let second = asked.get(1).map(|second| second.field.clone());
    match second {
        Some(field) => Err(ApiError::field(field, "invalid_value", "must not be given beside another such field")),
        None => Ok(asked.pop()),
    }
}

fn response_format(fields: &mut Fields) -> Result<Option<Asked>, ApiError> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(None) };
    let within = |error: ApiError| error.within("response_format");
    let kind = format.string("type").map_err(within)?;
    match kind.as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Asked { grammar: Grammar::JsonObject, field: "response_format".to_owned() })),
        Some("json_schema") => {
            let missing = || ApiError::field("json_schema", "missing_required_parameter", "is missing");
            let inner = format.object("json_schema").and_then(|inner| inner.ok_or_else(missing)).map_err(within)?;
            json_schema(inner)
                .map_err(|error| error.within("response_format.json_schema"))
                .map(|grammar| Some(Asked { grammar, field: "response_format.json_schema.schema".to_owned() }))
        }
        Some(_) => {
            let message = "must be text, json_object or json_schema";
            Err(within(ApiError::field("type", "invalid_value", message)))
        }
        None => Err(within(ApiError::field("type", "missing_required_parameter", "is missing"))),
    }
}

/// The object that names a schema; the responses API has the same fields one level higher.
pub(super) fn json_schema(mut inner: Fields) -> Result<Grammar, ApiError> {
    match inner.string("name")? {
        None => return Err(ApiError::field("name", "missing_required_parameter", "is missing")),
        Some(name) if !is_name(&name) => return Err(wrong_name("name")),
        Some(_) => {}
    }
    inner.string("description")?;
    inner.bool("strict")?;
    match inner.take("schema") {
        None => Ok(Grammar::JsonObject),
        Some(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(Grammar::JsonSchema(schema)),
        Some(other) => Err(wrong_type("schema", "a JSON schema", &other)),
    }
}

pub(super) fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(is_letter)
}

pub(super) fn wrong_name(field: &str) -> ApiError {
    ApiError::field(field, "invalid_value", "must have 1 to 64 letters, digits, underscores and dashes")
}

fn named(fields: &mut Fields, prefix: &str) -> Result<Vec<Asked>, ApiError> {
    let mut asked = Vec::new();
    let mut add = |grammar, name: &str| asked.push(Asked { grammar, field: format!("{prefix}{name}") });
    match fields.take(&format!("{prefix}json")) {
        None => {}
        // vLLM takes a schema as text, too.
        Some(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(schema) => add(Grammar::JsonSchema(schema), "json"),
            Err(_) => return Err(ApiError::field(format!("{prefix}json"), "invalid_value", "must be a JSON schema")),
        },
        Some(schema @ Value::Object(_)) => add(Grammar::JsonSchema(schema), "json"),
        Some(other) => return Err(wrong_type(&format!("{prefix}json"), "a JSON schema", &other)),
    }
    if let Some(expression) = fields.string(&format!("{prefix}regex"))? {
        add(Grammar::Regex(expression), "regex");
    }
    if let Some(grammar) = fields.string(&format!("{prefix}grammar"))? {
        add(Grammar::Lark(grammar), "grammar");
    }
    let choices = fields.strings(&format!("{prefix}choice"))?;
    if !choices.is_empty() {
        add(Grammar::Choice(choices), "choice");
    }
    Ok(asked)
}
