//! `LlmModel.status`: what the operator has observed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What is known of the weights. Written by the operator only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LlmModelStatus {
    /// `metadata.generation` that this status describes; -1 until the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::observed_generation")]
    pub observed_generation: Option<i64>,
    /// `Ready` sums up. `Reconciling` and `Stalled` are there only while true. `Accepted`, `VolumeBound` and `Sealed`
    /// say how far it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Manifest digest of the sealed files, `sha256:` and 64 hex digits: the sha256 over one line for each file in
    /// path order, `<sha256>  <size>  <path>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest_observed")]
    pub digest: Option<String>,
    /// Sum of the sizes of the files, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count64")]
    pub size_bytes: Option<i64>,
    /// Format of the weights: `GGUF` or `Safetensors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word")]
    pub format: Option<String>,
    /// Architecture as the model file names it. Example: `llama`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word")]
    pub architecture: Option<String>,
    /// Number of weights; absent when the files do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count64")]
    pub parameter_count: Option<i64>,
    /// Longest context the model was made for, in tokens; absent when the files do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count64")]
    pub context_length: Option<i64>,
    /// Name of the PersistentVolumeClaim that holds the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub claim_name: Option<String>,
    /// How far the fetch is; absent when none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<FetchProgress>,
    /// The signature that was verified; absent when none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureSeen>,
    /// How the files are encrypted on the volume; absent when they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionSeen>,
}

/// A verified signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignatureSeen {
    /// SHA-256 of the public key that it was verified with; absent when a certificate did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identity")]
    pub key_id: Option<String>,
    /// Who signed, as the verified certificate names it; absent when a public key did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identity")]
    pub subject: Option<String>,
    /// When it was signed; absent if the signature does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub signed_at: Option<Time>,
}

/// How the files are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionSeen {
    /// The age recipient (`age1…`) whose identity opens the files.
    #[serde(default)]
    #[schemars(schema_with = "schema::identity")]
    pub recipient: String,
}

/// How far a fetch is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FetchProgress {
    /// Bytes on the volume so far, those of an earlier attempt included.
    #[serde(default)]
    #[schemars(schema_with = "schema::count64")]
    pub done_bytes: i64,
    /// Bytes in all; 0 until the source has told.
    #[serde(default)]
    #[schemars(schema_with = "schema::count64")]
    pub total_bytes: i64,
    /// Share of the bytes that is on the volume, 0 to 100; absent until the source has told the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::percent")]
    pub percent: Option<i32>,
    /// Pace over the last seconds, in bytes per second.
    #[serde(default)]
    #[schemars(schema_with = "schema::count64")]
    pub bytes_per_second: i64,
    /// Seconds left at that pace; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count64")]
    pub seconds_left: Option<i64>,
}
