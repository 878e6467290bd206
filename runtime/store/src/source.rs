//! Says which files a source names, where each lies, and what is known of it before the first byte.

mod choose;
mod hub;

pub(crate) use choose::{is_convertible, is_served};

use std::collections::BTreeSet;

use alcazar_contract::source::{FetchSource, HttpFile};
use alcazar_signing::{SIGNATURE_FILE, Signed};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    client::Client,
    error::FetchError,
    manifest::{hex, is_sha256_hex},
    path::SafePath,
    policy::Policy,
};

/// One file to bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteFile {
    pub path: SafePath,
    pub url: Url,
    pub size: Option<u64>,
    pub expected: Expected,
}

/// What the source says a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Sha256(String),
    /// A hub names its small files by their git blob only.
    GitBlob(String),
    Nothing,
}

/// Names the work of a source on the volume: the same source finds its partial and sealed files again.
pub(crate) fn key(source: &FetchSource) -> Result<String, FetchError> {
    let text = serde_json::to_string(source)
        .map_err(|error| FetchError::InvalidSource { fault: format!("it has no JSON form: {error}") })?;
    Ok(hex(&Sha256::digest(text))[..16].to_owned())
}

/// Refuses what the policy does not allow, before any request.
pub(crate) fn vet(source: &FetchSource, policy: &Policy) -> Result<(), FetchError> {
    match source {
        FetchSource::HuggingFace { endpoint, repo, revision, files } => {
            policy.vet_url(&hub::parse_endpoint(endpoint)?)?;
            hub::check(repo, revision, files)
        }
        FetchSource::Http { files } => plain_files(files)?.iter().try_for_each(|file| policy.vet_url(&file.url)),
    }
}

/// What a source has.
pub(crate) enum Offered {
    /// A repository, and which of its files are named.
    Repository { repository: hub::Repository, wanted: Vec<String> },
    /// Files, each named.
    Files(Vec<RemoteFile>),
}

/// Asks a hub for its list.
pub(crate) async fn look(client: &Client, source: &FetchSource) -> Result<Offered, FetchError> {
    match source {
        FetchSource::HuggingFace { endpoint, repo, revision, files } => {
            let hub = hub::Hub { endpoint: hub::parse_endpoint(endpoint)?, repo, revision };
            Ok(Offered::Repository { repository: hub.look(client).await?, wanted: files.clone() })
        }
        FetchSource::Http { files } => plain_files(files).map(Offered::Files),
    }
}

impl Offered {
    /// The signature at the root.
    pub(crate) fn signature(&self) -> Result<Option<RemoteFile>, FetchError> {
        match self {
            Self::Repository { repository, .. } => repository.file(SIGNATURE_FILE),
            Self::Files(files) => Ok(files.iter().find(|file| file.path.as_str() == SIGNATURE_FILE).cloned()),
        }
    }

    /// The files to bring, without the signature. Where none is named, the signed ones say which there should be: a source
    /// that leaves one out does not change what is chosen.
    pub(crate) fn choose(&self, signed: Option<&Signed>) -> Result<Vec<RemoteFile>, FetchError> {
        let mut files = match self {
            Self::Repository { repository, wanted } => {
                let signed = signed.map(|signed| signed.resources().iter().map(|file| &*file.name).collect());
                repository.choose(wanted, signed)?
            }
            Self::Files(files) => files.clone(),
        };
        files.retain(|file| file.path.as_str() != SIGNATURE_FILE);
        Ok(files)
    }
}

fn plain_files(files: &[HttpFile]) -> Result<Vec<RemoteFile>, FetchError> {
    let invalid = |fault: String| FetchError::InvalidSource { fault };
    if files.is_empty() {
        return Err(invalid("it names no file".to_owned()));
    }
    let mut seen = BTreeSet::new();
    files
        .iter()
        .enumerate()
        .map(|(n, file)| {
            // The URL itself may hold a secret, so the message names its place only.
            let url = Url::parse(&file.url).map_err(|error| invalid(format!("files[{n}].url is no URL: {error}")))?;
            if !is_sha256_hex(&file.sha256) {
                return Err(invalid(format!("files[{n}].sha256 must be 64 lower-case hex digits")));
            }
            let path = if file.path.is_empty() { last_segment(&url) } else { file.path.clone() };
            let path = SafePath::parse(&path)?;
            if !seen.insert(path.clone()) {
                return Err(invalid(format!("two files have the path '{path}'; give them different paths")));
            }
            Ok(RemoteFile { path, url, size: None, expected: Expected::Sha256(file.sha256.clone()) })
        })
        .collect()
}

fn last_segment(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
    percent_decode_str(last).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(url: &str, path: &str) -> HttpFile {
        HttpFile { url: url.to_owned(), sha256: "0".repeat(64), path: path.to_owned() }
    }

    #[test]
    fn plain_files_get_their_name_from_the_url() {
        let files = plain_files(&[http("https://a.example/x/my%20model.gguf?sig=1", "")]).expect("files");
        assert_eq!(files[0].path.as_str(), "my model.gguf");
    }

    #[test]
    fn bad_plain_files_are_refused() {
        for (files, word) in [
            (vec![], "no file"),
            (vec![http("https://a.example/x", ""), http("https://b.example/x", "")], "two files"),
            (vec![http("https://a.example/", "")], "empty"),
            (vec![http("https://a.example/%2e%2e%2fx", "")], "'..'"),
            (vec![http("https://a.example/x", "/abs")], "absolute"),
            (vec![http("nonsense", "")], "files[0].url"),
            (vec![HttpFile { sha256: "XYZ".into(), ..http("https://a.example/x", "") }], "files[0].sha256"),
        ] {
            let error = plain_files(&files).expect_err(word);
            assert_eq!(error.reason().as_str(), "InvalidSource");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_key_follows_the_source() {
        let of = |path: &str| key(&FetchSource::Http { files: vec![http("https://a.example/x", path)] }).expect("key");
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        assert_eq!(of("a").len(), 16);
    }
}
