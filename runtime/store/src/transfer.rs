//! Brings one file: in ranges at once where the source can, from where it stopped where it can, else whole.

mod answer;
mod attempt;
mod verdict;

use std::{ops::Range, sync::Mutex};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;
use url::Url;

use crate::{
    client::{Backoff, Client},
    error::FetchError,
    hash::{FileDigests, Options, blocking, digest_file},
    partial::{FileWriter, Partial},
    policy::shown,
    progress::Progress,
    source::{Expected, RemoteFile},
};

/// A file that keeps changing under the reader is given up after this many starts.
const MAX_STARTS: u32 = 4;
/// From this start on, a file with a known digest is read whatever its ETag says: replicas of one mirror often
/// disagree about it.
const STARTS_HEEDING_ETAG: u32 = 2;
/// The first request also learns size and ETag, so it is kept short.
const FIRST_BYTES: u64 = 1 << 20;
/// What arrived of a broken transfer is hashed for the message up to this size.
const MAX_HASHED_FOR_MESSAGE: u64 = 1 << 30;

/// How the transfer is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub chunk_bytes: u64,
    pub n_connections: usize,
    pub n_files_at_once: usize,
}

/// What all files of one fetch share.
pub(crate) struct Transfer<'a> {
    client: &'a Client,
    partial: &'a Partial,
    progress: &'a Progress,
    shape: Shape,
    permits: Semaphore,
}

/// One start at one file.
struct Live<'a> {
    file: &'a RemoteFile,
    writer: FileWriter,
    /// Where the redirects of the source ended; signed and short-lived at most hubs.
    final_url: Mutex<Option<Url>>,
    heed_etag: bool,
}

/// What one piece still has to bring.
struct Span {
    at: u64,
    end: u64,
}

enum Broken {
    /// The file is another one than when it was begun, or cannot be read in ranges.
    Restart,
    Failed(FetchError),
}

impl From<FetchError> for Broken {
    fn from(error: FetchError) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(client: &'a Client, partial: &'a Partial, progress: &'a Progress, shape: Shape) -> Self {
        Self { client, partial, progress, shape, permits: Semaphore::new(shape.n_connections.max(1)) }
    }

    /// Brings all files and says what each is, in the order of `files`.
    pub(crate) async fn bring_all(&self, files: &[RemoteFile]) -> Result<Vec<FileDigests>, FetchError> {
        let result = stream::iter(files)
            .map(|file| self.bring(file))
            .buffered(self.shape.n_files_at_once.max(1))
            .try_collect()
            .await;
        // What is there counts for the next attempt even if this one failed.
        let noted = self.partial.flush();
        result.and_then(|digests| noted.map(|()| digests))
    }

    async fn bring(&self, file: &RemoteFile) -> Result<FileDigests, FetchError> {
        let left = self.partial.state(&file.path);
        let is_provable = file.expected != Expected::Nothing || left.etag.as_deref().is_some_and(answer::is_strong);
        if left.done.len() > 0 && !is_provable {
            // Nothing would tell if the rest came from another file.
            self.start_anew(file)?;
        }
        let mut resumed = left.done.len() > 0 && is_provable;
        loop {
            self.download(file).await?;
            let error = match self.digest(file, None).await {
                Ok(digests) => match verdict::judge(file, &digests) {
                    Ok(()) => return Ok(digests),
                    Err(error) => error,
                },
                // A chunk of an encrypted file that an earlier attempt left otherwise.
                Err(error) if error.is_of_data() => error,
                Err(error) => return Err(error),
            };
            self.start_anew(file)?;
            if !resumed {
                return Err(error);
            }
            tracing::warn!(path = %file.path, error = %error, "what an earlier attempt left is wrong; starting anew");
            resumed = false;
        }
    }

    async fn digest(&self, file: &RemoteFile, limit: Option<u64>) -> Result<FileDigests, FetchError> {
        let (path, access) = (file.path.below(&self.partial.tree()), self.partial.access());
        let with_git_blob = matches!(file.expected, Expected::GitBlob(_));
        let options = move || Options { with_git_blob, limit, progress: None };
        blocking(move || digest_file(&*access, &path, options(), |_| {})).await
    }

    fn start_anew(&self, file: &RemoteFile) -> Result<(), FetchError> {
        let lost = self.partial.forget(&file.path)?;
        self.progress.take_back(lost);
        Ok(())
    }

    async fn download(&self, file: &RemoteFile) -> Result<(), FetchError> {
        for start in 0..MAX_STARTS {
            let heed_etag = start < STARTS_HEEDING_ETAG || file.expected == Expected::Nothing;
            match self.start(file, heed_etag).await {
                Ok(()) => return Ok(()),
                Err(Broken::Failed(error)) => return Err(self.with_what_arrived(file, error).await),
                Err(Broken::Restart) => {
                    tracing::warn!(path = %file.path, "the file changed at the source; starting anew");
                    self.start_anew(file)?;
                }
            }
        }
        Err(FetchError::Unreachable {
            url: shown(&file.url),
            fault: "the file changed each time it was read".to_owned(),
            attempts: MAX_STARTS,
            retry_after: None,
        })
    }

    async fn start(&self, file: &RemoteFile, heed_etag: bool) -> Result<(), Broken> {
        let writer = self.partial.writer(&file.path)?;
        let live = Live { file, writer: writer.clone(), final_url: Mutex::new(None), heed_etag };
        if let Some(first) = self.first_piece(file) {
            self.piece(&live, first, true).await?;
        }
        let state = self.partial.state(&file.path);
        let size = state.size.unwrap_or_else(|| state.done.prefix());
        stream::iter(state.done.gaps(size, self.shape.chunk_bytes).into_iter().map(Ok))
            .try_for_each_concurrent(self.shape.n_connections, |gap| self.piece(&live, gap, false))
            .await?;
        blocking(move || writer.finish(size)).await?;
        Ok(())
    }

    /// What to ask for first; `None` when the file is whole.
    fn first_piece(&self, file: &RemoteFile) -> Option<Range<u64>> {
        let state = self.partial.state(&file.path);
        match (state.size, file.size) {
            (Some(size), _) if size == state.done.len() => None,
            (Some(size), _) => state.done.gaps(size, FIRST_BYTES).into_iter().next(),
            (None, Some(size)) if size <= self.shape.chunk_bytes => Some(0..size),
            (None, _) => Some(0..FIRST_BYTES.min(self.shape.chunk_bytes)),
        }
    }

    /// Brings a range; tries again from where it broke. `is_alone`: nothing else of this file is under way.
    async fn piece(&self, live: &Live<'_>, gap: Range<u64>, is_alone: bool) -> Result<(), Broken> {
        // The semaphore is never closed; a permit that cannot be had would only mean less order.
        let _permit = self.permits.acquire().await.ok();
        let mut backoff = Backoff::new(self.client.timing);
        let (mut span, mut furthest) = (Span { at: gap.start, end: gap.end }, gap.start);
        loop {
            let outcome = self.attempt(live, &mut span, is_alone).await;
            if span.at > furthest {
                furthest = span.at;
                backoff.progressed();
            }
            match outcome {
                Ok(true) => return Ok(()),
                Ok(false) => backoff.wait(short(live)).await?,
                Err(Broken::Failed(error)) => backoff.wait(error).await?,
                Err(Broken::Restart) => return Err(Broken::Restart),
            }
        }
    }

    /// Both digests belong in the message of a download that was cut off.
    async fn with_what_arrived(&self, file: &RemoteFile, error: FetchError) -> FetchError {
        let state = self.partial.state(&file.path);
        let arrived = state.done.prefix();
        let (FetchError::Unreachable { url, fault, attempts, retry_after }, Expected::Sha256(expected)) =
            (&error, &file.expected)
        else {
            return error;
        };
        if arrived == 0 || arrived > MAX_HASHED_FOR_MESSAGE {
            return error;
        }
        let Ok(found) = self.digest(file, Some(arrived)).await else { return error };
        let of = state.size.or(file.size).map_or_else(|| "an unknown number of".to_owned(), |size| size.to_string());
        FetchError::Unreachable {
            url: url.clone(),
            fault: format!(
                "{fault}; {arrived} of {of} bytes arrived (sha256:{}, expected sha256:{expected})",
                found.sha256
            ),
            attempts: *attempts,
            retry_after: *retry_after,
        }
    }
}

fn short(live: &Live<'_>) -> FetchError {
    FetchError::Unreachable {
        url: shown(&live.file.url),
        fault: "the answer ended early".to_owned(),
        attempts: 1,
        retry_after: None,
    }
}
