//! `LlmApiKey.status`: what the operator and the gateway have observed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What is known of the key. `observedGeneration`, `conditions` and `hash` are the operator's, `lastUsedTime` and
/// `usage` the gateway's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LlmApiKeyStatus {
    /// `metadata.generation` that this status describes; -1 until the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::observed_generation")]
    pub observed_generation: Option<i64>,
    /// `Ready` says whether the key opens its models. `Stalled` is there only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// SHA-256 of the key in the Secret, when the operator made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::key_hash_observed")]
    pub hash: Option<String>,
    /// When a request last came with the key; at most ten seconds old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_used_time: Option<Time>,
    /// What the key was used for; absent until it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<KeyUsage>,
}

/// What a key was used for, over all replicas of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyUsage {
    /// Requests so far.
    #[serde(default)]
    #[schemars(schema_with = "schema::count64")]
    pub requests: i64,
    /// Tokens of prompts so far.
    #[serde(default)]
    #[schemars(schema_with = "schema::count64")]
    pub prompt_tokens: i64,
    /// Tokens of answers so far.
    #[serde(default)]
    #[schemars(schema_with = "schema::count64")]
    pub completion_tokens: i64,
    /// Tokens of prompts and answers on `day`.
    #[serde(default)]
    #[schemars(schema_with = "schema::count64")]
    pub tokens_today: i64,
    /// The day in UTC that `tokensToday` counts. Example: `2026-11-23`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::day")]
    pub day: Option<String>,
}
