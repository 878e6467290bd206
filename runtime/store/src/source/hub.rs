//! The API of a Hugging Face hub, or of a mirror that speaks it.

use std::collections::BTreeMap;

use alcazar_signing::SignatureError;
use serde::Deserialize;
use url::Url;

use super::{Expected, RemoteFile, choose};
use crate::{client::Client, error::FetchError, manifest::is_sha256_hex, path::SafePath};

/// A list of files; the largest repositories need about a megabyte.
const MAX_LIST_BYTES: usize = 16 << 20;

pub(super) struct Hub<'a> {
    pub endpoint: Url,
    pub repo: &'a str,
    pub revision: &'a str,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    /// Mirrors that copy git's own words call it so.
    oid: Option<String>,
    size: Option<u64>,
}

pub(super) fn parse_endpoint(endpoint: &str) -> Result<Url, FetchError> {
    let invalid = |fault: String| FetchError::InvalidSource { fault };
    let url = Url::parse(endpoint).map_err(|error| invalid(format!("huggingFace.endpoint is no URL: {error}")))?;
    if url.cannot_be_a_base() || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("huggingFace.endpoint must be a base URL such as https://huggingface.co".to_owned()));
    }
    Ok(url)
}

/// Judges what the user wrote, without asking anyone.
pub(super) fn check(repo: &str, revision: &str, files: &[String]) -> Result<(), FetchError> {
    let invalid = |fault: String| Err(FetchError::InvalidSource { fault });
    let sound = |part: &str| {
        let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        plain && !part.is_empty() && part.len() <= 96 && !part.starts_with('.') && !part.contains("..")
    };
    if repo.split('/').count() > 2 || !repo.split('/').all(sound) {
        return invalid(format!("'{}' is no repository name; write 'owner/name'", repo.escape_debug()));
    }
    if revision.len() != 40 || !revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return invalid(format!(
            "the revision '{}' is no commit; write the full 40 hex digits, because branches and tags move",
            revision.escape_debug()
        ));
    }
    files.iter().try_for_each(|file| SafePath::parse(file).map(drop))
}

impl Hub<'_> {
    /// Its list of files.
    pub(super) async fn look(&self, client: &Client) -> Result<Repository, FetchError> {
        let mut url = self.url(&["api", "models"], &["revision", self.revision])?;
        url.set_query(Some("blobs=true"));
        let body = client.get_document(&url, MAX_LIST_BYTES).await?;
        self.read(&body)
    }

    fn read(&self, body: &[u8]) -> Result<Repository, FetchError> {
        let listing: Listing = serde_json::from_slice(body).map_err(|error| FetchError::Unexpected {
            url: format!("'{}'", self.endpoint),
            fault: format!("the list of files of {} is no hub's answer: {error}", self.repo),
        })?;
        if let Some(sha) = listing.sha.filter(|sha| !sha.eq_ignore_ascii_case(self.revision)) {
            return Err(FetchError::Unexpected {
                url: format!("'{}'", self.endpoint),
                fault: format!("revision {} was asked for, '{}' was answered", self.revision, sha.escape_debug()),
            });
        }
        let root = self.url(&[], &["resolve", self.revision])?;
        let (repo, revision) = (self.repo.to_owned(), self.revision.to_owned());
        let siblings = listing.siblings.into_iter().map(|sibling| (sibling.rfilename.clone(), sibling)).collect();
        Ok(Repository { root, repo, revision, siblings })
    }

    /// `<endpoint>/<before>/<repo>/<after>`.
    fn url(&self, before: &[&str], after: &[&str]) -> Result<Url, FetchError> {
        let mut url = self.endpoint.clone();
        url.path_segments_mut()
            .map_err(|()| no_base())?
            .pop_if_empty()
            .extend(before)
            .extend(self.repo.split('/'))
            .extend(after);
        Ok(url)
    }
}

/// What a hub has of a repository.
pub(crate) struct Repository {
    /// Where its files are.
    root: Url,
    repo: String,
    revision: String,
    siblings: BTreeMap<String, Sibling>,
}

impl Repository {
    /// A file at its root.
    pub(super) fn file(&self, name: &str) -> Result<Option<RemoteFile>, FetchError> {
        self.siblings.get(name).map(|sibling| self.remote_file(sibling)).transpose()
    }

    /// The files to bring: those that are named, or those that a server of the repository needs. `signed`: what there
    /// should be.
    pub(super) fn choose(&self, wanted: &[String], signed: Option<Vec<&str>>) -> Result<Vec<RemoteFile>, FetchError> {
        let listed: Vec<&str> = self.siblings.keys().map(String::as_str).collect();
        let chosen = match signed {
            _ if !wanted.is_empty() => self.named(&listed, wanted)?,
            None => choose::choose(&listed)?,
            Some(signed) => {
                let chosen = choose::choose(&signed)?;
                if let Some(missing) = chosen.iter().find(|name| !self.siblings.contains_key(*name)) {
                    let fault = format!("{missing} was signed, and {} has no such file", self.repo);
                    return Err(SignatureError::NotOfFiles { fault }.into());
                }
                chosen
            }
        };
        chosen.iter().filter_map(|name| self.siblings.get(name)).map(|sibling| self.remote_file(sibling)).collect()
    }

    fn named(&self, names: &[&str], wanted: &[String]) -> Result<Vec<String>, FetchError> {
        if let Some(missing) = wanted.iter().find(|file| !names.contains(&file.as_str())) {
            return Err(FetchError::NotInRepo {
                missing: format!("'{missing}'"),
                repo: self.repo.clone(),
                revision: self.revision.clone(),
                found: choose::enumerate(names.iter().copied()),
            });
        }
        choose::refuse_unreadable(wanted)?;
        let mut wanted = wanted.to_vec();
        wanted.sort();
        wanted.dedup();
        Ok(wanted)
    }

    fn remote_file(&self, sibling: &Sibling) -> Result<RemoteFile, FetchError> {
        let path = SafePath::parse(&sibling.rfilename)?;
        let mut url = self.root.clone();
        url.path_segments_mut().map_err(|()| no_base())?.extend(path.as_str().split('/'));
        let lfs = sibling.lfs.as_ref();
        let sha256 = lfs.and_then(|lfs| lfs.sha256.as_deref().or(lfs.oid.as_deref()));
        let sha256 =
            sha256.map(|text| text.trim_start_matches("sha256:").to_lowercase()).filter(|hex| is_sha256_hex(hex));
        let blob = sibling.blob_id.as_deref().filter(|blob| lfs.is_none() && blob.len() == 40);
        let expected = match (sha256, blob) {
            (Some(sha256), _) => Expected::Sha256(sha256),
            (None, Some(blob)) => Expected::GitBlob(blob.to_lowercase()),
            (None, None) => Expected::Nothing,
        };
        Ok(RemoteFile { path, url, size: lfs.and_then(|lfs| lfs.size).or(sibling.size), expected })
    }
}

fn no_base() -> FetchError {
    FetchError::InvalidSource { fault: "huggingFace.endpoint is no base URL".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVISION: &str = "12fd25f77366fa6b3b4b768ec3050bf629380bac";

    impl Hub<'_> {
        fn select(&self, body: &[u8], wanted: &[String]) -> Result<Vec<RemoteFile>, FetchError> {
            self.read(body)?.choose(wanted, None)
        }
    }

    fn hub(endpoint: &str) -> Hub<'static> {
        Hub { endpoint: parse_endpoint(endpoint).expect("endpoint"), repo: "owner/name", revision: REVISION }
    }

    fn listing() -> String {
        let sha = "a".repeat(64);
        format!(
            r#"{{"sha":"{REVISION}","private":false,"siblings":[
            {{"rfilename":"config.json","size":7,"blobId":"{}"}},
            {{"rfilename":"model.gguf","size":134,"blobId":"{}","lfs":{{"sha256":"{sha}","size":9000,"pointerSize":134}}}}]}}"#,
            "b".repeat(40),
            "c".repeat(40)
        )
    }

    #[test]
    fn a_listing_becomes_files_with_digests() {
        let files = hub("https://hub.example/prefix/").select(listing().as_bytes(), &[]).expect("files");
        let model = files.iter().find(|file| file.path.as_str() == "model.gguf").expect("model");
        assert_eq!(model.url.as_str(), format!("https://hub.example/prefix/owner/name/resolve/{REVISION}/model.gguf"));
        assert_eq!((model.size, &model.expected), (Some(9000), &Expected::Sha256("a".repeat(64))));
        let named =
            hub("https://hub.example").select(listing().as_bytes(), &["config.json".to_owned()]).expect("named");
        assert_eq!((named.len(), &named[0].expected), (1, &Expected::GitBlob("b".repeat(40))));
    }

    #[test]
    fn a_missing_file_names_what_there_is() {
        let error =
            hub("https://hub.example").select(listing().as_bytes(), &["x.gguf".to_owned()]).expect_err("missing");
        assert_eq!(error.reason().as_str(), "SourceNotFound");
        assert!(error.to_string().contains("'x.gguf'") && error.to_string().contains("model.gguf"), "{error}");
    }

    #[test]
    fn another_revision_or_another_document_is_refused() {
        let other = listing().replace(REVISION, &"f".repeat(40));
        assert!(hub("https://hub.example").select(other.as_bytes(), &[]).is_err());
        assert!(hub("https://hub.example").select(b"<html></html>", &[]).is_err());
    }

    #[test]
    fn a_path_that_leaves_the_directory_is_refused() {
        let evil = listing().replace("model.gguf", "../model.gguf");
        let error =
            hub("https://hub.example").select(evil.as_bytes(), &["../model.gguf".to_owned()]).expect_err("evil");
        assert!(error.to_string().contains("'..'"), "{error}");
    }

    #[test]
    fn what_the_user_wrote_is_judged_first() {
        check("owner/name", REVISION, &[]).expect("sound");
        check("gpt2", REVISION, &["a/b.gguf".to_owned()]).expect("sound");
        for (repo, revision, file) in [
            ("owner/name/x", REVISION, "a"),
            ("../name", REVISION, "a"),
            ("owner/na me", REVISION, "a"),
            ("", REVISION, "a"),
            ("owner/name", "main", "a"),
            ("owner/name", REVISION, "../a"),
        ] {
            assert!(check(repo, revision, &[file.to_owned()]).is_err(), "{repo} {revision} {file}");
        }
    }
}
