//! One request for a range of a file, and its body to the volume.

use std::{
    ops::Range,
    sync::PoisonError,
    time::{Duration, Instant},
};

use reqwest::Response;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    Broken, Live, Span, Transfer,
    answer::{self, Answer},
};
use crate::{
    client::{Ask, next_piece, read_bounded},
    error::FetchError,
    hash::blocking,
    manifest::hex,
    partial::FileState,
    policy::shown,
    ranges::Ranges,
    source::Expected,
    volume,
};

/// One write to the volume; with the number of connections it bounds the memory of a fetch.
const WRITE_BYTES: usize = 1 << 20;
/// A smaller write when the source is slow.
const WRITE_EVERY: Duration = Duration::from_millis(200);
/// Of a file of unknown size; more than any file has.
const MAX_ASKED_BYTES: u64 = 1 << 44;
/// Of an HTML page only this much is read, to name it by its digest.
const MAX_PAGE_BYTES: usize = 4 << 20;

impl Transfer<'_> {
    /// Reads from where the span is; true when everything up to its end is on the volume.
    pub(super) async fn attempt(&self, live: &Live<'_>, span: &mut Span, is_alone: bool) -> Result<bool, Broken> {
        let path = &live.file.path;
        let state = self.partial.state(path);
        let end = span.end.min(state.size.unwrap_or(span.at.saturating_add(MAX_ASKED_BYTES)));
        let at = &mut span.at;
        if *at >= end && state.size.is_some() {
            return Ok(true);
        }
        let is_whole = *at == 0 && live.file.size.is_some_and(|size| size <= end);
        let etag = state.etag.as_deref().filter(|etag| live.heed_etag && answer::is_strong(etag));
        let ask = (!is_whole).then_some(Ask { bytes: (*at, end.max(*at + 1) - 1), etag });
        let (url, response) = self.get(live, ask.as_ref()).await?;
        let answer = answer::read(&response).map_err(|fault| FetchError::Unexpected { url: shown(&url), fault })?;
        if !matches!(answer, Answer::NoSuchRange { .. }) && answer::is_html(&response) && !names_html(path.as_str()) {
            return Err(self.html_page(live, &url, response).await.into());
        }
        let etag = answer::etag(&response);
        match answer {
            Answer::NoSuchRange { size: Some(0) } if *at == 0 => {
                self.learn(live, &state, Some(0), etag)?;
                Ok(true)
            }
            Answer::NoSuchRange { .. } => Err(Broken::Restart),
            Answer::Part { start, size } if start == *at => {
                self.learn(live, &state, Some(size), etag)?;
                let end = end.min(size);
                self.stream(live, &url, response, at, end).await?;
                Ok(*at >= end)
            }
            Answer::Part { start, .. } => Err(Broken::Failed(FetchError::Unexpected {
                url: shown(&url),
                fault: format!("bytes from {start} where bytes from {at} were asked for"),
            })),
            Answer::Whole { size } => {
                // Nobody else can bring the rest.
                span.end = size.unwrap_or(u64::MAX);
                self.whole(live, &url, response, Whole { at, size, etag, is_alone, state }).await
            }
        }
    }

    /// An answer without ranges: the file from its first byte, whatever was asked.
    async fn whole(&self, live: &Live<'_>, url: &Url, response: Response, whole: Whole<'_>) -> Result<bool, Broken> {
        let Whole { at, size, etag, is_alone, state } = whole;
        if state.done.len() > 0 {
            let has_only_its_start = state.done.prefix() == state.done.len();
            let is_same = state.etag.is_none() || !live.heed_etag || state.etag == etag;
            if !(is_alone && has_only_its_start && is_same) {
                return Err(Broken::Restart);
            }
            self.progress.take_back(state.done.len());
            self.partial.update(&live.file.path, |state| state.done = Ranges::default())?;
        }
        *at = 0;
        self.learn(live, &state, size, etag)?;
        let limit = size.or(live.file.size).unwrap_or(u64::MAX);
        self.stream(live, url, response, at, limit).await?;
        if size.is_none() {
            let end = *at;
            self.learn_size(live, end)?;
        }
        Ok(size.is_none_or(|size| *at >= size))
    }

    async fn get(&self, live: &Live<'_>, ask: Option<&Ask<'_>>) -> Result<(Url, Response), FetchError> {
        let origin = live.file.url.origin();
        let remembered = live.final_url.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(url) = remembered {
            match self.client.get(&url, &origin, ask).await {
                // A signed address has run out: ask the source for a new one.
                Err(
                    FetchError::Unauthorized { .. }
                    | FetchError::Forbidden { .. }
                    | FetchError::NotFound { .. }
                    | FetchError::Unexpected { .. },
                ) => {}
                other => return other,
            }
        }
        let (url, response) = self.client.get(&live.file.url, &origin, ask).await?;
        let moved = (url != live.file.url).then(|| url.clone());
        *live.final_url.lock().unwrap_or_else(PoisonError::into_inner) = moved;
        Ok((url, response))
    }

    /// Compares what an answer says of the file with what is known, and notes what is new.
    fn learn(&self, live: &Live<'_>, known: &FileState, size: Option<u64>, etag: Option<String>) -> Result<(), Broken> {
        if let (Some(before), Some(now)) = (known.size, size)
            && before != now
        {
            return Err(Broken::Restart);
        }
        if live.heed_etag && known.etag.is_some() && etag.is_some() && known.etag != etag {
            return Err(Broken::Restart);
        }
        if let (None, Some(size)) = (known.size, size) {
            self.learn_size(live, size)?;
        }
        if known.etag.is_none() && etag.is_some() {
            self.partial.update(&live.file.path, |state| state.etag = etag)?;
        }
        Ok(())
    }

    fn learn_size(&self, live: &Live<'_>, size: u64) -> Result<(), FetchError> {
        let file = live.file;
        match file.size {
            Some(listed) if size > listed => return Err(too_long(live, listed, size)),
            Some(_) => {}
            None => {
                self.progress.add_total(size);
                let done = self.partial.state(&file.path).done.len();
                let root = self.partial.dir();
                volume::require_room(size.saturating_sub(done), volume::free_bytes(root)?)?;
            }
        }
        self.partial.update(&file.path, |state| state.size = Some(size))
    }

    /// Writes a body from `at` on, at most to `end`. What arrived before an error stays.
    async fn stream(
        &self,
        live: &Live<'_>,
        url: &Url,
        mut response: Response,
        at: &mut u64,
        end: u64,
    ) -> Result<(), FetchError> {
        let mut buffer = Vec::with_capacity(WRITE_BYTES);
        let mut written = Instant::now();
        let outcome = loop {
            match next_piece(url, &mut response).await {
                Ok(Some(piece)) => buffer.extend_from_slice(&piece),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if *at + buffer.len() as u64 > end {
                break Err(FetchError::Unexpected {
                    url: shown(url),
                    fault: format!("more than the {end} bytes it announced"),
                });
            }
            // A slow source must not lose minutes to a kill.
            if buffer.len() >= WRITE_BYTES || written.elapsed() >= WRITE_EVERY {
                buffer = self.write(live, buffer, at, None).await?;
                written = Instant::now();
            }
        };
        let arrived = *at + buffer.len() as u64;
        if arrived <= end {
            // Where nobody knew the size, the end of the body is that of the file.
            let is_end = outcome.is_ok() && end == u64::MAX;
            self.write(live, buffer, at, is_end.then_some(arrived)).await?;
        }
        outcome
    }

    /// Gives back what is not written yet: of an encrypted file less than a chunk.
    async fn write(
        &self,
        live: &Live<'_>,
        mut buffer: Vec<u8>,
        at: &mut u64,
        end: Option<u64>,
    ) -> Result<Vec<u8>, FetchError> {
        let (writer, from) = (live.writer.clone(), *at);
        let size = end.or(self.partial.state(&live.file.path).size).or(live.file.size);
        let (written, buffer) = blocking(move || {
            let written: Range<u64> = writer.write_at(&buffer, from, size)?;
            buffer.drain(..usize::try_from(written.end - written.start).unwrap_or(buffer.len()));
            Ok((written, buffer))
        })
        .await?;
        *at = written.end;
        self.progress.add(written.end - written.start);
        self.partial.update(&live.file.path, |state| state.done.insert(written))?;
        Ok(buffer)
    }

    async fn html_page(&self, live: &Live<'_>, url: &Url, response: Response) -> FetchError {
        let body = read_bounded(url, response, MAX_PAGE_BYTES).await.unwrap_or_default();
        FetchError::HtmlPage {
            path: live.file.path.to_string(),
            expected: match &live.file.expected {
                Expected::Sha256(sha256) => format!(" (expected sha256:{sha256})"),
                Expected::GitBlob(_) | Expected::Nothing => String::new(),
            },
            found: format!("sha256:{}", hex(&Sha256::digest(&body))),
            found_bytes: body.len() as u64,
        }
    }
}

/// What is known when an answer brings the whole file.
struct Whole<'a> {
    at: &'a mut u64,
    size: Option<u64>,
    etag: Option<String>,
    is_alone: bool,
    state: FileState,
}

fn too_long(live: &Live<'_>, listed: u64, size: u64) -> FetchError {
    FetchError::FileDigest {
        path: live.file.path.to_string(),
        expected: live.file.expected.to_string(),
        expected_bytes: listed.to_string(),
        found: "a longer file".to_owned(),
        found_bytes: size,
        hint: "",
    }
}

fn names_html(path: &str) -> bool {
    let path = path.to_lowercase();
    [".html", ".htm", ".md", ".txt"].iter().any(|suffix| path.ends_with(suffix))
}
