//! What pods tell, cut to what the schema of a status allows: no status write may be refused for their words. Pure.

/// The schema's bound of counts: what every JSON reader holds exactly.
const MAX_COUNT: u64 = (1 << 53) - 1;
const DEVICE_LENGTH: usize = 128;
const WORD_LENGTH: usize = 64;
const IDENTITY_LENGTH: usize = 512;

/// Name of a device as its driver tells it.
pub(crate) fn device(told: &str) -> String {
    told.chars().filter(|c| !c.is_control()).take(DEVICE_LENGTH).collect()
}

/// One word, without the characters that a word has not; none when nothing is left.
pub(crate) fn word(told: &str) -> Option<String> {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    let begun = told.chars().filter(allowed).skip_while(|c| !c.is_ascii_alphanumeric());
    Some(begun.take(WORD_LENGTH).collect()).filter(|word: &String| !word.is_empty())
}

/// A manifest digest, or none: half a digest would be worse.
pub(crate) fn digest(told: &str) -> Option<String> {
    let hex = told.strip_prefix("sha256:")?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (hex.len() == 64 && hex.bytes().all(is_digit)).then(|| told.to_owned())
}

/// What names a key or its holder; none when nothing is left.
pub(crate) fn identity(told: &str) -> Option<String> {
    let told: String = told.chars().filter(|c| !c.is_control()).take(IDENTITY_LENGTH).collect();
    Some(told).filter(|told| !told.is_empty())
}

/// A count.
pub(crate) fn count(told: u64) -> i64 {
    i64::try_from(told.min(MAX_COUNT)).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use alcazar_crds::manifest::{Manifest, manifests};
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::Value;

    use super::*;

    static MANIFESTS: LazyLock<Vec<Manifest>> = LazyLock::new(|| manifests().into_iter().collect());

    /// What the API server would say of this status of that kind (its plural), one line for each fault.
    pub(crate) fn refusals(plural: &str, status: &impl Serialize) -> Vec<String> {
        let manifest = MANIFESTS.iter().find(|manifest| manifest.plural == plural).expect("the kind should exist");
        let mut found = Vec::new();
        check("status", &manifest.schema()["properties"]["status"], &serde_json::to_value(status).unwrap(), &mut found);
        found
    }

    fn check(path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
        let mut need = |ok: bool, what: &str| {
            if !ok {
                found.push(format!("{path}: {what} in {value}"));
            }
        };
        match value {
            Value::String(text) => {
                let length = text.chars().count() as u64;
                need(schema["type"] == "string", "a text");
                need(schema["maxLength"].as_u64().is_none_or(|most| length <= most), "too long");
                need(schema["minLength"].as_u64().is_none_or(|least| length >= least), "too short");
                let pattern = schema["pattern"].as_str();
                need(pattern.is_none_or(|pattern| matches(pattern, text)), "not of the pattern");
            }
            Value::Number(number) => {
                need(schema["type"] == "integer", "a number");
                let number = number.as_i64();
                need(number.is_some() && schema["minimum"].as_i64() <= number, "too small");
                need(schema["maximum"].as_i64().is_none_or(|most| number.is_some_and(|n| n <= most)), "too large");
            }
            Value::Array(items) => {
                need(schema["type"] == "array", "a list");
                need(schema["maxItems"].as_u64().is_none_or(|most| items.len() as u64 <= most), "too many");
                for item in items {
                    check(&format!("{path}[]"), &schema["items"], item, found);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    let schema = &schema["properties"][name];
                    if schema.is_null() {
                        found.push(format!("{path}.{name}: unknown"));
                    }
                    check(&format!("{path}.{name}"), schema, field, found);
                }
            }
            Value::Bool(_) | Value::Null => need(schema["type"] == "boolean", "a boolean or null"),
        }
    }

    /// The patterns that the schema of a status uses. Another one must be added here.
    fn matches(pattern: &str, text: &str) -> bool {
        let of = |allowed: fn(char) -> bool| text.chars().all(allowed);
        match pattern {
            "^sha256:[0-9a-f]{64}$" => digest(text).is_some(),
            "^[0-9a-f]{64}$" => digest(&format!("sha256:{text}")).is_some(),
            "^[A-Za-z0-9][A-Za-z0-9._+-]*$" => {
                text.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && of(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
            }
            other if other.contains("A-Za-z") => of(|c| c.is_ascii_alphanumeric() || "_,:-./".contains(c)),
            other => panic!("the pattern {other} is not known here"),
        }
    }

    #[test]
    fn keeps_what_fits_and_cuts_what_does_not() {
        assert_eq!(device("NVIDIA H100 80GB HBM3"), "NVIDIA H100 80GB HBM3");
        assert_eq!(device(&"ß\n".repeat(200)), "ß".repeat(128));
        assert_eq!(word("llama").as_deref(), Some("llama"));
        assert_eq!(word(" -Phi 3.5\u{0}").as_deref(), Some("Phi3.5"));
        assert_eq!(word("..."), None);
        assert_eq!(word(&"a".repeat(99)).map(|word| word.len()), Some(64));
        assert_eq!(count(7), 7);
        assert_eq!(count(u64::MAX), 9_007_199_254_740_991);
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(digest(&good), Some(good.clone()));
        for bad in ["", "sha256:", &good[1..], &good[..70], &good.to_uppercase(), &format!("{good}0")] {
            assert_eq!(digest(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_check_finds_what_the_schema_refuses() {
        for (status, fault) in [
            (serde_json::json!({"acceleration": {"device": "x".repeat(129)}}), "device: too long"),
            (serde_json::json!({"replicas": -1}), "replicas: too small"),
            (serde_json::json!({"modelDigest": "sha256:1"}), "modelDigest: "),
            (serde_json::json!({"speed": 1}), "speed: unknown"),
        ] {
            let found = refusals("llmdeployments", &status).join("\n");
            assert!(found.contains(fault), "{status}: {found}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_pod_tells_is_allowed(text in "\\PC{0,200}", number in any::<u64>()) {
            let deployment = serde_json::json!({"acceleration": {"device": device(&text)}});
            prop_assert_eq!(refusals("llmdeployments", &deployment), Vec::<String>::new());
            let mut model = serde_json::json!({"sizeBytes": count(number), "progress": {"doneBytes": count(number)}});
            if let Some(word) = word(&text) {
                model["architecture"] = word.into();
            }
            prop_assert_eq!(refusals("llmmodels", &model), Vec::<String>::new());
        }
    }
}
