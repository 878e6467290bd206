//! An object as a file to apply or to commit. Pure.

use serde_json::Value;

use crate::{cli::Output, error::Error};

const NAME_MAX: usize = alcazar_crds::NAME_MAX_LENGTH;
const OWNER_MAX: usize = 253;

/// The text of an object, without status and without what is empty.
///
/// # Panics
/// Never: an object of Kubernetes is JSON, and JSON is YAML.
#[must_use]
pub fn text<K: serde::Serialize>(object: &K, output: Output) -> String {
    let mut value = serde_json::to_value(object).expect("an object should be JSON");
    if let Value::Object(fields) = &mut value {
        fields.remove("status");
    }
    match output {
        Output::Yaml => serde_yaml::to_string(&value).expect("JSON should be writable as YAML"),
        Output::Json => format!("{value:#}\n"),
    }
}

/// What the API server would refuse later, refused now.
///
/// # Errors
/// A name or an owner of another form than the kinds have.
pub fn check(name: &str, owner: &str) -> Result<(), Error> {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && name.len() <= NAME_MAX;
    if !is_name {
        let expected = "lower-case letters, digits and '-', beginning with a letter, at most 48 characters";
        return Err(Error::Value { what: "the name", found: name.to_owned(), expected });
    }
    let count = owner.chars().count();
    if count == 0 || count > OWNER_MAX || owner.trim().is_empty() || owner.contains(char::is_control) {
        let expected = "one line of 1 to 253 characters that says whom it belongs to, for example ana@example.com";
        return Err(Error::Value { what: "--owner", found: owner.to_owned(), expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_kinds_would() {
        assert!(check("ana-2", "ana@example.com").is_ok());
        for name in ["", "Ana", "2ana", "ana-", "a_b", "a.b", &"a".repeat(49)] {
            assert!(check(name, "o").is_err(), "{name}");
        }
        for owner in ["", " ", "a\nb", &"o".repeat(254)] {
            assert!(check("a", owner).is_err(), "{owner}");
        }
    }
}
