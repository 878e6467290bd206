//! SHA-256 of files, several at once, on the blocking pool.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};

use alcazar_formats::{Access, ReadAt};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    error::{FetchError, OnVolume as _},
    manifest::{Manifest, ManifestFile, hex},
    path::SafePath,
    progress::Progress,
};

/// What is read at once.
pub(crate) const PIECE_BYTES: usize = 2 << 20;

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

/// How a file is hashed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options<'a> {
    pub with_git_blob: bool,
    /// Stops the reading early.
    pub limit: Option<u64>,
    pub progress: Option<&'a Progress>,
}

/// Reads a file once and says what it is. `each` sees the pieces in order; all but the last have [`PIECE_BYTES`].
pub(crate) fn digest_file(
    access: &dyn Access,
    path: &Path,
    options: Options<'_>,
    mut each: impl FnMut(&[u8]),
) -> Result<FileDigests, FetchError> {
    let file = access.open(path).on_volume("open", path)?;
    let size = file.length().min(options.limit.unwrap_or(u64::MAX));
    let mut sha256 = Sha256::new();
    let mut sha1 = options.with_git_blob.then(|| Sha1::new_with_prefix(format!("blob {size}\0")));
    let (mut is_first, mut is_html) = (true, false);
    read_pieces(&*file, size, |piece| {
        if is_first {
            (is_first, is_html) = (false, looks_like_html(piece));
        }
        sha256.update(piece);
        if let Some(sha1) = &mut sha1 {
            sha1.update(piece);
        }
        each(piece);
        if let Some(progress) = options.progress {
            progress.add(piece.len() as u64);
        }
    })
    .on_volume("read", path)?;
    Ok(FileDigests { size, sha256: hex(&sha256.finalize()), git_blob: sha1.map(|sha1| hex(&sha1.finalize())), is_html })
}

/// Reads, and decrypts where files are encrypted, one piece while the one before is hashed.
fn read_pieces(file: &dyn ReadAt, size: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let length = |at: u64| usize::try_from(size - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
    if size <= PIECE_BYTES as u64 {
        let mut piece = Zeroizing::new(vec![0; length(0)]);
        file.read_exact_at(&mut piece, 0)?;
        if size == 0 {
            file.read_at(&mut [], 0)?;
        }
        take(&piece);
        return Ok(());
    }
    let (give, given) = mpsc::sync_channel(1);
    let (give_empty, emptied) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut at = 0;
            while at < size {
                let mut piece = emptied.try_recv().unwrap_or_else(|_| Zeroizing::new(Vec::new()));
                piece.resize(length(at), 0);
                let read = file.read_exact_at(&mut piece, at);
                at += piece.len() as u64;
                let is_over = read.is_err();
                // Nobody listens any more, or nothing more can be read.
                if give.send(read.map(|()| piece)).is_err() || is_over {
                    return;
                }
            }
        });
        for piece in given {
            let piece = piece?;
            take(&piece);
            let _ = give_empty.send(piece);
        }
        Ok(())
    })
}

pub(crate) fn looks_like_html(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    let begins = |tag: &[u8]| start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag));
    begins(b"<!doctype html") || begins(b"<html")
}

/// The manifest of the files below `root`, hashed in parallel.
pub(crate) async fn manifest_of(
    access: &Arc<dyn Access>,
    root: &Path,
    files: Vec<(SafePath, u64)>,
    progress: &Progress,
) -> Result<Manifest, FetchError> {
    let access = Arc::clone(access);
    let digest = move |path: &Path, progress: &Progress| {
        digest_file(&*access, path, Options { progress: Some(progress), ..Options::default() }, |_| {})
    };
    let digest = move |path: &Path, progress: &Progress| digest(path, progress).map(|digests| (digests, ()));
    hash_all(root, files, progress, digest).await.map(|(manifest, _)| manifest)
}

/// Hashes files in parallel with what else is wanted of each, by its full path.
pub(crate) async fn hash_all<T: Send + 'static>(
    root: &Path,
    files: Vec<(SafePath, u64)>,
    progress: &Progress,
    digest: impl Fn(&Path, &Progress) -> Result<(FileDigests, T), FetchError> + Clone + Send + 'static,
) -> Result<(Manifest, HashMap<PathBuf, T>), FetchError> {
    let n_parallel = std::thread::available_parallelism().map_or(1, usize::from);
    let all = stream::iter(files)
        .map(|(path, _)| {
            let (full, progress, digest) = (path.below(root), progress.clone(), digest.clone());
            async move {
                let (digests, more) = blocking({
                    let full = full.clone();
                    move || digest(&full, &progress)
                })
                .await?;
                let entry = ManifestFile { path: path.as_str().to_owned(), size: digests.size, sha256: digests.sha256 };
                Ok::<_, FetchError>((entry, (full, more)))
            }
        })
        .buffer_unordered(n_parallel)
        .try_collect::<Vec<_>>()
        .await?;
    let (entries, more): (Vec<_>, HashMap<_, _>) = all.into_iter().unzip();
    Ok((Manifest::new(entries), more))
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
    use alcazar_formats::Plain;

    use super::*;

    #[test]
    fn a_file_has_the_digests_that_other_tools_print() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("hello");
        std::fs::write(&path, "hello\n").expect("write");
        let digests =
            digest_file(&Plain, &path, Options { with_git_blob: true, ..Options::default() }, |_| {}).expect("digest");
        assert_eq!(digests.sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        assert_eq!(digests.git_blob.as_deref(), Some("ce013625030ba8dba906f756967f9e9ca394464a"));
        assert_eq!((digests.size, digests.is_html), (6, false));
        let first =
            digest_file(&Plain, &path, Options { limit: Some(2), ..Options::default() }, |_| {}).expect("digest");
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
