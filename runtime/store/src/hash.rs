//! SHA-256 of files, several at once, on the blocking pool.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::{
    error::{FetchError, OnVolume as _},
    manifest::{Manifest, ManifestFile, hex},
    path::SafePath,
    progress::Progress,
};

const BUFFER_BYTES: usize = 1 << 20;

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileDigests {
    pub size: u64,
    pub sha256: String,
    /// As git names the file; only made when asked for.
    pub git_blob: Option<String>,
    /// Whether it starts like an HTML page.
    pub is_html: bool,
}

/// Reads a file once and says what it is. `limit` stops the reading early.
pub(crate) fn digest_file(
    path: &Path,
    with_git_blob: bool,
    limit: u64,
    progress: Option<&Progress>,
) -> Result<FileDigests, FetchError> {
    let mut file = File::open(path).on_volume("open", path)?;
    let length = file.metadata().on_volume("inspect", path)?.len().min(limit);
    let mut sha256 = Sha256::new();
    let mut sha1 = with_git_blob.then(|| Sha1::new_with_prefix(format!("blob {length}\0")));
    let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(length).unwrap_or(BUFFER_BYTES).max(4096))];
    let (mut size, mut is_html) = (0, false);
    while size < limit {
        let n = file.read(&mut buffer).on_volume("read", path)?;
        if n == 0 {
            break;
        }
        let n = n.min(usize::try_from(limit - size).unwrap_or(n));
        let piece = &buffer[..n];
        if size == 0 {
            is_html = looks_like_html(piece);
        }
        sha256.update(piece);
        if let Some(sha1) = &mut sha1 {
            sha1.update(piece);
        }
        size += n as u64;
        if let Some(progress) = progress {
            progress.add(n as u64);
        }
    }
    Ok(FileDigests { size, sha256: hex(&sha256.finalize()), git_blob: sha1.map(|sha1| hex(&sha1.finalize())), is_html })
}

pub(crate) fn looks_like_html(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    let begins = |tag: &[u8]| start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag));
    begins(b"<!doctype html") || begins(b"<html")
}

/// The manifest of the files below `root`, hashed in parallel.
pub(crate) async fn manifest_of(
    root: &Path,
    files: Vec<(SafePath, u64)>,
    progress: &Progress,
) -> Result<Manifest, FetchError> {
    let n_parallel = std::thread::available_parallelism().map_or(1, usize::from);
    let entries = stream::iter(files)
        .map(|(path, _)| {
            let full = path.below(root);
            let progress = progress.clone();
            async move {
                let digests = blocking(move || digest_file(&full, false, u64::MAX, Some(&progress))).await?;
                Ok::<_, FetchError>(ManifestFile {
                    path: path.as_str().to_owned(),
                    size: digests.size,
                    sha256: digests.sha256,
                })
            }
        })
        .buffer_unordered(n_parallel)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(Manifest::new(entries))
}

/// Runs file work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(FetchError::VolumeState { fault: format!("a worker ended early: {error}") }),
    }
}

/// Owned path, for closures that leave the current thread.
pub(crate) fn owned(path: &Path) -> PathBuf {
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_digests_that_other_tools_print() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("hello");
        std::fs::write(&path, "hello\n").expect("write");
        let digests = digest_file(&path, true, u64::MAX, None).expect("digest");
        assert_eq!(digests.sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        assert_eq!(digests.git_blob.as_deref(), Some("ce013625030ba8dba906f756967f9e9ca394464a"));
        assert_eq!((digests.size, digests.is_html), (6, false));
        let first = digest_file(&path, false, 2, None).expect("digest");
        assert_eq!((first.size, first.sha256), (2, hex(&Sha256::digest("he"))));
    }

    #[test]
    fn pages_are_known_by_their_start() {
        assert!(looks_like_html(b"\n  <!DOCTYPE html><html>"));
        assert!(looks_like_html(b"<HTML>"));
        assert!(!looks_like_html(b"GGUF\x03\0\0\0"));
        assert!(!looks_like_html(b"{\"a\": \"<html>\"}"));
    }
}
