//! Says what is wrong with a grammar without repeating anything of it.

use std::fmt::Display;

use super::{Grammar, GrammarError};

/// Words of JSON Schema that not every schema language knows; a closed list, so they may be repeated.
const KEYWORDS: [&str; 22] = [
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "maxProperties",
    "minContains",
    "minProperties",
    "not",
    "oneOf",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "$ref",
    "pattern",
];

pub(super) fn invalid(fault: &str) -> GrammarError {
    GrammarError::Invalid { fault: fault.to_owned() }
}

/// The library's messages quote the grammar; what is told of them is a closed set.
pub(super) fn describe(grammar: &Grammar, error: &impl Display) -> GrammarError {
    let message = format!("{error:#}");
    if ["too large", "limit", "fuel", "too many", "exceed"].iter().any(|word| message.contains(word)) {
        return invalid("takes too much work to follow; make it smaller");
    }
    match grammar {
        Grammar::JsonObject | Grammar::JsonSchema(_) => describe_schema(&message),
        Grammar::Regex(_) => {
            invalid("is no regular expression that this server can follow (no look-around, no back-references)")
        }
        Grammar::Lark(_) => match line(&message) {
            Some(line) => invalid(&format!("is no grammar in llguidance's form of Lark; line {line} is at fault")),
            None => invalid("is no grammar in llguidance's form of Lark"),
        },
        Grammar::Choice(_) => invalid("cannot be followed"),
    }
}

fn describe_schema(message: &str) -> GrammarError {
    if message.contains("nsatisfiable") {
        return invalid("accepts no JSON at all");
    }
    let is_named = |keyword: &&&str| {
        message.contains(&format!("\"{keyword}\"")) || message.contains(&format!("{keyword} constraints"))
    };
    let named: Vec<&str> = KEYWORDS.iter().filter(is_named).copied().collect();
    if named.is_empty() {
        return invalid("is no JSON schema that this server can follow");
    }
    invalid(&format!("uses what this server cannot follow: {}", named.join(", ")))
}

/// The line number that a message begins with, as in `at 1(2):`.
fn line(message: &str) -> Option<u32> {
    message.strip_prefix("at ")?.split('(').next()?.parse().ok()
}
