//! `spec.source`: where the files of a model come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{self, Rule, rules};

/// Exactly one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[Rule {
    rule: "(has(self.huggingFace) ? 1 : 0) + (has(self.http) ? 1 : 0) + (has(self.persistentVolumeClaim) ? 1 : 0) == 1",
    message: "must name exactly one source: huggingFace, http or persistentVolumeClaim",
}])))]
pub struct ModelSource {
    /// A repository of the Hugging Face hub, or of a mirror that speaks its API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugging_face: Option<HuggingFaceSource>,
    /// Files at plain URLs, each with its sha256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSource>,
    /// Files that are already on a volume of this namespace. They are verified and served from there, never written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<ClaimSource>,
}

/// A repository of a Hugging Face hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HuggingFaceSource {
    /// The repository as `owner/name`. Example: `HuggingFaceTB/SmolLM2-135M-Instruct`.
    #[schemars(schema_with = "schema::repo")]
    pub repo: String,
    /// The full hash of a commit, 40 lower-case hex digits: a branch or a tag may point to other weights tomorrow.
    /// The hub shows it under "Files", "History". Example: `12fd25f77366fa6b3b4b768ec3050bf629380bac`.
    #[schemars(schema_with = "schema::revision")]
    pub revision: String,
    /// Paths in the repository to fetch. Default: what the runtime needs to serve the repository.
    /// Name the file when a repository holds several quantizations. Example: `[model-Q4_K_M.gguf]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::files")]
    pub files: Vec<String>,
    /// Base URL of the hub or mirror, without a path to a repository. Its host must be public, or allowed in the
    /// operator's settings. Default: the operator's setting, which is `https://huggingface.co` unless changed.
    /// Example: `https://hub.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint")]
    pub endpoint: Option<String>,
    /// Name of a Secret in this namespace whose key `token` holds an access token, for gated and private
    /// repositories. Only the fetch Job reads it. Default: no token. Example: `hub-token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub token_secret_name: Option<String>,
}

/// Files at plain URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// The files, at least one and at most 128. With more than one, each must set `path`.
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = rules(&FILES_RULES))
    )]
    pub files: Vec<HttpFile>,
    /// Name of a Secret in this namespace with the keys `username` and `password` (sent as basic authentication), or
    /// the key `token` (sent as bearer token). Only the fetch Job reads it. Default: no credentials.
    /// Example: `artifact-store`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub auth_secret_name: Option<String>,
}

const FILES_RULES: [Rule; 2] = [
    Rule {
        rule: "self.size() == 1 || self.all(f, has(f.path))",
        message: "must set path on every file when there is more than one",
    },
    Rule {
        rule: "self.size() == 1 || self.all(f, !has(f.path) || self.exists_one(g, has(g.path) && g.path == f.path))",
        message: "must give every file another path",
    },
];

/// One file, with the digest that it must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpFile {
    /// The whole URL, without credentials in it. Its host must be public, or allowed in the operator's settings;
    /// `http://` only for allowed hosts. Example: `https://files.example.com/models/smollm2.gguf`.
    #[schemars(schema_with = "schema::url")]
    pub url: String,
    /// The sha256 of the file, 64 lower-case hex digits, as `sha256sum FILE` prints it.
    #[schemars(schema_with = "schema::sha256")]
    pub sha256: String,
    /// Relative path under which the file is stored. Default: the last segment of the URL.
    /// Example: `model.gguf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub path: Option<String>,
}

/// Files on an existing claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSource {
    /// Name of a PersistentVolumeClaim in this namespace. It is mounted read-only. Example: `team-models`.
    #[schemars(schema_with = "schema::object_name")]
    pub claim_name: String,
    /// Relative path of the model's directory, or of its one file, below the root of the volume.
    /// Default: the root of the volume. Example: `llama/8b-q4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub path: Option<String>,
}
