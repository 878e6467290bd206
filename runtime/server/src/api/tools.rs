//! Pure: the functions that a model may call, and whether it has to.

use alcazar_text::Grammar;
use serde_json::{Map, Value, json};

use super::{
    ApiError,
    fields::{Fields, wrong_type},
    structured::{Asked, is_name, wrong_name},
};

const MAX_TOOLS: usize = 128;
/// Calls of one answer that a grammar allows.
const MAX_CALLS: usize = 16;

/// What a request says of tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tools {
    functions: Vec<Function>,
    choice: Choice,
    in_parallel: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Function {
    name: String,
    /// As templates expect it.
    tool: Value,
    /// A JSON schema.
    parameters: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Choice {
    None,
    #[default]
    Auto,
    Required,
    Named(String),
}

impl Tools {
    /// Takes `tools`, `tool_choice` and `parallel_tool_calls`.
    pub(super) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        let tools = fields.array("tools")?.unwrap_or_default();
        if tools.len() > MAX_TOOLS {
            return Err(ApiError::field("tools", "invalid_value", format!("must hold at most {MAX_TOOLS} tools")));
        }
        let functions = tools.into_iter().enumerate().map(|(n, tool)| function(&format!("tools[{n}]"), tool));
        let functions = functions.collect::<Result<Vec<_>, _>>()?;
        let choice = choice(fields.take("tool_choice"))?;
        let is_unknown = match &choice {
            Choice::None | Choice::Auto => false,
            Choice::Required => functions.is_empty(),
            Choice::Named(name) => functions.iter().all(|function| function.name != *name),
        };
        if is_unknown {
            return Err(ApiError::field("tool_choice", "invalid_value", "must name a function that is in 'tools'"));
        }
        let in_parallel = fields.bool("parallel_tool_calls")?.unwrap_or(true);
        Ok(Self { functions, choice, in_parallel })
    }

    /// What a template sees: null when nothing may be called.
    pub(super) fn for_template(&self) -> Value {
        if self.functions.is_empty() || self.choice == Choice::None {
            return Value::Null;
        }
        self.functions.iter().map(|function| function.tool.clone()).collect()
    }

    /// Functions that may be called.
    pub(super) fn names(&self) -> Vec<String> {
        if self.choice == Choice::None {
            return vec![];
        }
        self.functions.iter().map(|function| function.name.clone()).collect()
    }

    /// Holds the answer to a list of calls, where the model must call.
    pub(super) fn grammar(&self) -> Option<Asked> {
        let callable: Vec<&Function> = match &self.choice {
            Choice::None | Choice::Auto => return None,
            Choice::Required => self.functions.iter().collect(),
            Choice::Named(name) => self.functions.iter().filter(|function| function.name == *name).collect(),
        };
        let (mut definitions, mut calls) = (Map::new(), Vec::new());
        for (n, function) in callable.into_iter().enumerate() {
            let key = format!("function{n}");
            let mut parameters = function.parameters.clone();
            move_references(&mut parameters, &format!("#/$defs/{key}"));
            definitions.insert(key.clone(), parameters);
            calls.push(json!({
                "type": "object",
                "properties": {"name": {"const": function.name}, "arguments": {"$ref": format!("#/$defs/{key}")}},
                "required": ["name", "arguments"],
                "additionalProperties": false,
            }));
        }
        let is_single = !self.in_parallel || matches!(self.choice, Choice::Named(_));
        let schema = json!({
            "$defs": definitions,
            "type": "array",
            "items": {"anyOf": calls},
            "minItems": 1,
            "maxItems": if is_single { 1 } else { MAX_CALLS },
        });
        Some(Asked { grammar: Grammar::JsonSchema(schema), field: "tools".to_owned() })
    }
}

/// A schema that becomes part of another one finds its own parts below a new root.
fn move_references(schema: &mut Value, root: &str) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(reference) if key == "$ref" && reference.starts_with('#') => {
                        *reference = format!("{root}{}", reference.trim_start_matches('#'));
                    }
                    value => move_references(value, root),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, root)),
        _ => {}
    }
}

fn function(place: &str, tool: Value) -> Result<Function, ApiError> {
    let Value::Object(tool) = tool else { return Err(wrong_type(place, "an object", &tool)) };
    let mut fields = Fields::new(tool);
    let within = |error: ApiError| error.within(place);
    match fields.string("type").map_err(within)?.as_deref() {
        Some("function") => {}
        None => return Err(within(ApiError::field("type", "missing_required_parameter", "is missing"))),
        Some(_) => return Err(within(ApiError::field("type", "unsupported_value", "must be 'function'"))),
    }
    // The responses API has the function's fields beside the type.
    let (inner, place) = match fields.object("function").map_err(within)? {
        Some(inner) => (inner, format!("{place}.function")),
        None => (fields, place.to_owned()),
    };
    inner_function(inner).map_err(|error| error.within(&place))
}

fn inner_function(mut fields: Fields) -> Result<Function, ApiError> {
    let name = fields.string("name")?;
    let name = name.ok_or_else(|| ApiError::field("name", "missing_required_parameter", "is missing"))?;
    if !is_name(&name) {
        return Err(wrong_name("name"));
    }
    let description = fields.string("description")?;
    fields.bool("strict")?;
    let parameters = fields.object("parameters")?.map(Fields::into_map);
    let parameters = Value::Object(parameters.unwrap_or_else(|| {
        Map::from_iter([("type".to_owned(), "object".into()), ("properties".to_owned(), Map::new().into())])
    }));
    let mut function = json!({"name": name});
    if let Some(description) = description {
        function["description"] = description.into();
    }
    function["parameters"] = parameters.clone();
    Ok(Function { name, tool: json!({"type": "function", "function": function}), parameters })
}

fn choice(value: Option<Value>) -> Result<Choice, ApiError> {
    let wrong = || {
        let message = "must be none, auto, required, or an object that names a function";
        ApiError::field("tool_choice", "invalid_value", message)
    };
    match value {
        None => Ok(Choice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "none" => Ok(Choice::None),
            "auto" => Ok(Choice::Auto),
            "required" => Ok(Choice::Required),
            _ => Err(wrong()),
        },
        Some(Value::Object(object)) => {
            let name = object.get("function").map_or_else(|| object.get("name"), |function| function.get("name"));
            match (object.get("type").and_then(Value::as_str), name.and_then(Value::as_str)) {
                (Some("function"), Some(name)) => Ok(Choice::Named(name.to_owned())),
                _ => Err(wrong()),
            }
        }
        Some(other) => Err(wrong_type("tool_choice", "a string or an object", &other)),
    }
}
