//! Bounded strings: names, URLs, paths, digests, quantities.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{Rule, rules};

/// A path of segments that begin with a letter, a digit or `_`: neither absolute, nor hidden, nor `..`.
const PATH_RULE: Rule = Rule {
    rule: "self.matches('^[A-Za-z0-9_][A-Za-z0-9._+=@-]*(/[A-Za-z0-9_][A-Za-z0-9._+=@-]*)*$')",
    message: "must be a relative path without '..': letters, digits and . _ + = @ -, each part beginning with a letter, \
              digit or _; write for example gguf/model.gguf",
};

const URL_RULES: [Rule; 2] = [
    Rule {
        rule: "self.matches('^[a-z][a-z0-9+.-]*://[^/ ]*(/[^ ]*)?$')",
        message: "must be a whole URL without spaces, for example https://files.example.com/model.gguf",
    },
    Rule {
        rule: "!self.matches('^[^:]*://[^/?#]*@')",
        message: "must not hold credentials: put them into a Secret and name that instead",
    },
];

pub(super) fn bounded(min: u32, max: u32, checks: &[Rule]) -> Schema {
    let mut schema = json_schema!({"type": "string", "minLength": min, "maxLength": max});
    if !checks.is_empty() {
        schema.insert("x-kubernetes-validations".into(), rules(checks));
    }
    schema
}

pub(super) fn patterned(min: u32, max: u32, pattern: &str) -> Schema {
    json_schema!({"type": "string", "minLength": min, "maxLength": max, "pattern": pattern})
}

/// Name of another object: a DNS subdomain.
pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        253,
        &[Rule {
            rule: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            message: "must be the name of an object: lower-case letters, digits, '-' and '.', beginning and ending with a \
                  letter or digit",
        }],
    )
}

/// Name of an `LlmModel`.
pub(crate) fn model_name(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        48,
        &[Rule {
            rule: "self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            message: "must be the name of an LlmModel: lower-case letters, digits and '-', beginning with a letter",
        }],
    )
}

pub(crate) fn repo(_: &mut SchemaGenerator) -> Schema {
    bounded(
        3,
        193,
        &[Rule {
            rule: "self.matches('^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$')",
            message: "must be owner/name, for example HuggingFaceTB/SmolLM2-135M-Instruct",
        }],
    )
}

pub(crate) fn revision(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        64,
        &[Rule {
            rule: "self.matches('^[0-9a-f]{40}$')",
            message: "must be the full hash of a commit (40 lower-case hex digits), because branches and tags move; the hub \
                  shows it under Files, History",
        }],
    )
}

pub(crate) fn files(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 512,
        "x-kubernetes-list-type": "set",
        "items": described(bounded(1, 256, &[PATH_RULE]), "A path in the repository."),
    })
}

pub(crate) fn path(_: &mut SchemaGenerator) -> Schema {
    bounded(1, 256, &[PATH_RULE])
}

pub(crate) fn url(_: &mut SchemaGenerator) -> Schema {
    bounded(1, 2048, &URL_RULES)
}

pub(crate) fn endpoint(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        256,
        &[
            URL_RULES[0],
            URL_RULES[1],
            Rule {
                rule: "!self.contains('?') && !self.contains('#')",
                message: "must be the base URL of the hub alone, without a query, for example https://hub.example.com",
            },
        ],
    )
}

pub(crate) fn sha256(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        128,
        &[Rule {
            rule: "self.matches('^[0-9a-f]{64}$')",
            message: "must be 64 lower-case hex digits, as sha256sum prints them",
        }],
    )
}

pub(crate) fn digest(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        128,
        &[Rule {
            rule: "self.matches('^sha256:[0-9a-f]{64}$')",
            message: "must be sha256: and 64 lower-case hex digits, as status.digest of a fetched model shows it",
        }],
    )
}

/// A digest in a status: written by the operator, so the pattern alone will do.
pub(crate) fn digest_observed(_: &mut SchemaGenerator) -> Schema {
    patterned(71, 71, "^sha256:[0-9a-f]{64}$")
}

/// One word in a status.
pub(crate) fn word(_: &mut SchemaGenerator) -> Schema {
    patterned(1, 64, "^[A-Za-z0-9][A-Za-z0-9._+-]*$")
}

/// Name of a device as its driver tells it.
pub(crate) fn device(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 128})
}

/// A line of text in a status.
pub(crate) fn sentence(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 1024})
}

/// Resource name of a GPU: `domain/name`.
pub(crate) fn resource_name(_: &mut SchemaGenerator) -> Schema {
    bounded(
        3,
        180,
        &[Rule {
            rule: "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
            message: "must be domain/name as the nodes show it under allocatable, for example nvidia.com/gpu",
        }],
    )
}

pub(crate) fn cpu_quantity(_: &mut SchemaGenerator) -> Schema {
    quantity(
        "^[0-9]+([.][0-9]{1,3}|m)?$",
        Rule {
            rule: "self.matches('^[0-9]+([.][0-9]{1,3}|m)?$') && quantity(self).compareTo(quantity('10m')) >= 0 && \
               quantity(self).compareTo(quantity('1024')) <= 0",
            message: "must be cores as text, from 10m to 1024, for example \"4\" or 2500m",
        },
    )
}

pub(crate) fn memory_quantity(_: &mut SchemaGenerator) -> Schema {
    quantity(
        "^[0-9]+([.][0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?$",
        Rule {
            rule: "self.matches('^[0-9]+([.][0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?$') && \
               quantity(self).compareTo(quantity('32Mi')) >= 0 && quantity(self).compareTo(quantity('64Ti')) <= 0",
            message: "must be an amount of memory with its unit, from 32Mi to 64Ti, for example 16Gi",
        },
    )
}

pub(crate) fn storage_quantity(_: &mut SchemaGenerator) -> Schema {
    quantity(
        "^[0-9]+([.][0-9]{1,3})?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
        Rule {
            rule: "self.matches('^[0-9]+([.][0-9]{1,3})?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$') && \
               quantity(self).compareTo(quantity('1Mi')) >= 0 && quantity(self).compareTo(quantity('1Pi')) <= 0",
            message: "must be a size with its unit, from 1Mi to 1Pi, for example 20Gi",
        },
    )
}

fn quantity(pattern: &str, check: Rule) -> Schema {
    let mut schema = patterned(1, 20, pattern);
    schema.insert("x-kubernetes-validations".into(), rules(&[check]));
    schema
}

/// Adds what `kubectl explain` shows, for parts that have no Rust field to carry a doc comment.
pub(super) fn described(mut schema: Schema, description: &str) -> Value {
    schema.insert("description".into(), json!(description));
    schema.to_value()
}
