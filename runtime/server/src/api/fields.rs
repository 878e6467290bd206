//! Pure: takes the fields of a request one by one, and says of a wrong one its name, type and range, never its value.

use std::{fmt::Display, ops::RangeInclusive};

use serde_json::{Map, Value};

use super::ApiError;

/// A request's object. A field that is null counts as absent, as clients send it.
pub(super) struct Fields {
    object: Map<String, Value>,
}

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self { object }
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn bool(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        self.take(name).map(|value| value.as_bool().ok_or_else(|| wrong_type(name, "a boolean", &value))).transpose()
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Fields>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Fields::new(object))),
            Some(other) => Err(wrong_type(name, "an object", &other)),
        }
    }

    pub(super) fn array(&mut self, name: &str) -> Result<Option<Vec<Value>>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(wrong_type(name, "a list", &other)),
        }
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.object
    }

    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<f32>) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| wrong_type(name, "a number", &value))?;
        #[expect(clippy::cast_possible_truncation, reason = "what does not fit becomes infinite and is out of range")]
        let number = number as f32;
        if range.contains(&number) { Ok(Some(number)) } else { Err(out_of_range(name, &range)) }
    }

    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_i64().or_else(|| {
            // Some clients write whole numbers as 16.0.
            let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15)?;
            #[expect(clippy::cast_possible_truncation, reason = "a whole number far below 2^63")]
            let whole = number as i64;
            Some(whole)
        });
        match number {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            Some(_) => Err(out_of_range(name, &range)),
            None if value.is_u64() => Err(out_of_range(name, &range)),
            None => Err(wrong_type(name, "an integer", &value)),
        }
    }

    /// A string or a list of strings.
    pub(super) fn strings(&mut self, name: &str) -> Result<Vec<String>, ApiError> {
        match self.take(name) {
            None => Ok(vec![]),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .map(|(n, item)| match item {
                    Value::String(text) => Ok(text),
                    other => Err(wrong_type(&format!("{name}[{n}]"), "a string", &other)),
                })
                .collect(),
            Some(other) => Err(wrong_type(name, "a string or a list of strings", &other)),
        }
    }

    /// Refuses fields that would change the answer and are not served, unless they say what happens anyway.
    pub(super) fn refuse(&mut self, fields: &[Unserved]) -> Result<(), ApiError> {
        fields.iter().try_for_each(|(name, is_neutral)| match self.take(name) {
            Some(value) if !is_neutral(&value) => {
                Err(ApiError::field(*name, "unsupported_parameter", "is not supported by this server; leave it out"))
            }
            _ => Ok(()),
        })
    }
}

/// A field's name, and which of its values ask for nothing.
pub(super) type Unserved = (&'static str, fn(&Value) -> bool);

pub(super) fn never(_: &Value) -> bool {
    false
}

/// False, zero, an empty list or object.
pub(super) fn empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(true) => false,
    }
}

pub(super) fn wrong_type(name: &str, expected: &str, found: &Value) -> ApiError {
    ApiError::field(name, "invalid_type", format!("must be {expected}, found {}", kind_of(found)))
}

fn out_of_range<T: Display>(name: &str, range: &RangeInclusive<T>) -> ApiError {
    ApiError::field(name, "invalid_value", format!("must be at least {} and at most {}", range.start(), range.end()))
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(object) = value else { panic!("an object") };
        Fields::new(object)
    }

    #[test]
    fn numbers_are_held_to_type_and_range() {
        let of = |value: Value| fields(json!({ "x": value })).number("x", 0.0..=2.0).map_err(|error| error.code());
        assert_eq!(of(json!(1)), Ok(Some(1.0)));
        assert_eq!(of(Value::Null), Ok(None));
        assert_eq!(of(json!(-0.1)), Err("invalid_value"));
        assert_eq!(of(json!(1e300)), Err("invalid_value"));
        assert_eq!(of(json!("1")), Err("invalid_type"));
        let of = |value: Value| fields(json!({ "x": value })).integer("x", 1..=10).map_err(|error| error.code());
        assert_eq!(of(json!(10.0)), Ok(Some(10)));
        assert_eq!(of(json!(1.5)), Err("invalid_type"));
        assert_eq!(of(json!(u64::MAX)), Err("invalid_value"));
        assert_eq!(of(json!(0)), Err("invalid_value"));
    }

    #[test]
    fn a_wrong_type_names_the_place_and_not_the_value() {
        let error = fields(json!({"stop": ["a", {"secret": 1}]})).strings("stop").expect_err("object");
        assert_eq!(error.told(), (400, "invalid_type", Some("stop[1]"), "'stop[1]' must be a string, found an object"));
        let error = fields(json!({"user": 5})).string("user").expect_err("number");
        assert_eq!(error.told().3, "'user' must be a string, found a number");
    }

    #[test]
    fn unserved_fields_may_ask_for_nothing() {
        let refuse = |value: Value| fields(json!({ "tools": value })).refuse(&[("tools", empty)]).is_err();
        for nothing in [json!(null), json!([]), json!({}), json!(false), json!(0), json!("")] {
            assert!(!refuse(nothing.clone()), "{nothing}");
        }
        for something in [json!([1]), json!(true), json!("x"), json!(1), json!({"a": 1})] {
            assert!(refuse(something.clone()), "{something}");
        }
        assert!(fields(json!({"tools": 0})).refuse(&[("tools", never)]).is_err());
    }
}
