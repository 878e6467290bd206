//! The bounds: schema of every field that a Rust type alone cannot bound.
//!
//! Functions here are named for what the value is, and used as `#[schemars(schema_with = "…")]`.
//! A value that people mistype often is checked by a CEL rule, since its message can say what to
//! write; a pattern's message only repeats the pattern.

mod access;
mod conditions;
mod network;
mod numbers;
mod pods;
mod text;

use serde_json::{Value, json};

pub(crate) use self::{access::*, conditions::*, network::*, numbers::*, pods::*, text::*};

/// Rule on the root of every kind: names of children are made from the object's name.
pub(crate) const NAME_RULE: &str =
    "self.metadata.name.size() <= 48 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')";
/// What [`NAME_RULE`] answers.
pub(crate) const NAME_MESSAGE: &str = "metadata.name must be at most 48 characters: lower-case letters, digits and '-', \
     beginning with a letter and ending with a letter or digit";

/// A CEL rule and what it answers when it is broken.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// True for accepted values.
    pub(crate) rule: &'static str,
    /// "must …", and what to write instead.
    pub(crate) message: &'static str,
}

/// The value of `x-kubernetes-validations`.
pub(crate) fn rules(rules: &[Rule]) -> Value {
    rules.iter().map(|Rule { rule, message }| json!({"rule": rule, "message": message})).collect()
}

/// Whether a field may be left out of what is written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
