//! What the fetch Job is told to bring, as its `--source` argument. Never holds a secret.

use serde::{Deserialize, Serialize};

/// Where the files of a model come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum FetchSource {
    /// A repository of a Hugging Face hub, or of a mirror that speaks its API.
    HuggingFace {
        /// Base URL, for example `https://huggingface.co`.
        endpoint: String,
        /// `owner/name`.
        repo: String,
        /// A full commit hash: branches and tags move.
        revision: String,
        /// Paths to fetch; empty: what the runtime needs to serve the repository.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
    },
    /// Files at plain URLs, each with its digest.
    Http {
        /// At least one.
        files: Vec<HttpFile>,
    },
}

/// One file of an [`FetchSource::Http`] source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpFile {
    /// `https://…`, or `http://…` for a host on the allow-list.
    pub url: String,
    /// Lower-case hex, 64 characters.
    pub sha256: String,
    /// Path below the model directory; empty: the last segment of the URL.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}
