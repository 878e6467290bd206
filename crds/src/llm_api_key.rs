//! `LlmApiKey`: a key to the models of a namespace.

mod status;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::status::{KeyUsage, LlmApiKeyStatus};
use crate::{
    grant::GrantState,
    schema::{self, Rule, is_default, rules},
};

/// Which key it is, whose, and what it opens.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "alcazar.dev",
    version = "v1alpha1",
    kind = "LlmApiKey",
    plural = "llmapikeys",
    singular = "llmapikey",
    shortname = "llmk",
    category = "alcazar",
    namespaced,
    status = "LlmApiKeyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A key to the language models of its namespace at the gateway. It holds the key's hash, so it may be committed to Git.",
    selectable = ".spec.hash",
    selectable = ".spec.owner",
    selectable = ".spec.state",
    validation = (schema::NAME_RULE, schema::NAME_MESSAGE),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"True while the key opens its models."}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why it does or not; the sentence is in the condition's message."}"#,
    printcolumn = r#"{"name":"Owner","type":"string","jsonPath":".spec.owner","description":"Whom the key belongs to."}"#,
    printcolumn = r#"{"name":"Used","type":"date","jsonPath":".status.lastUsedTime","description":"How long ago a request came with the key."}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expiresAt","description":"From when on the key is refused."}"#,
    printcolumn = r#"{"name":"Requests","type":"integer","priority":1,"jsonPath":".status.usage.requests","description":"Requests so far."}"#,
    printcolumn = r#"{"name":"Today","type":"integer","priority":1,"jsonPath":".status.usage.tokensToday","description":"Tokens of the day that usage.day names."}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&SPEC_RULES)))]
pub struct LlmApiKeySpec {
    /// SHA-256 of the whole key text, 64 lower-case hex digits. The key itself is `alc_` and 43 random characters, and
    /// is kept by its owner alone. Another hash makes another key of it. Exactly one of `hash` and `secretName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::key_hash")]
    pub hash: Option<String>,
    /// Name of a Secret of this namespace that the operator makes with a new key in its entry `key`. It belongs to this
    /// object and goes with it. A Secret that is there already is not touched. If the Secret is deleted, a new key is
    /// made and the old one is refused. Cannot be changed. Exactly one of `hash` and `secretName`.
    /// Example: `chat-frontend-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub secret_name: Option<String>,
    /// Whom the key belongs to, in one line of at most 253 characters. Example: `ana@example.com`.
    #[schemars(schema_with = "schema::owner")]
    pub owner: String,
    /// Names of the LlmDeployments of this namespace that the key opens, at most 256. Default: all of them.
    /// Example: `[assistant]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::deployment_names")]
    pub models: Vec<String>,
    /// How much the key may be used, over all replicas of the gateway. Default: as much as the models can.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: KeyLimits,
    /// From when on the key is refused, RFC 3339. Default: never. Example: `2027-01-01T00:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub expires_at: Option<Time>,
    /// `Revoked` refuses the key within two seconds and ends the answers that run with it. It can be made `Active`
    /// again; deleting the object revokes for good.
    #[serde(default)]
    pub state: GrantState,
}

/// How much a key may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyLimits {
    /// Requests in any minute. Default: no limit. Example: `60`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::limit32")]
    pub requests_per_minute: Option<i32>,
    /// Tokens of prompts and answers in any minute. Default: no limit. Example: `100000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::limit32")]
    pub tokens_per_minute: Option<i32>,
    /// Tokens of prompts and answers in a day of UTC. Default: no limit. Example: `2000000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::limit64")]
    pub tokens_per_day: Option<i64>,
}

const SPEC_RULES: [Rule; 2] = [
    Rule {
        rule: "has(self.hash) != has(self.secretName)",
        message: "must set exactly one of hash (of a key that you made) and secretName (the operator makes the key)",
    },
    Rule {
        rule: "!has(oldSelf.secretName) || (has(self.secretName) && self.secretName == oldSelf.secretName)",
        message: "must not change secretName: the key is in that Secret; make a new LlmApiKey with another name",
    },
];
