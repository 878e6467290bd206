//! Sealed files: read at any place, written chunk by chunk at any place, or written from start to end.

use std::{
    fmt,
    fs::File,
    io::{self, IoSliceMut, Write},
    os::unix::fs::FileExt as _,
    thread,
};

use age_core::format::FileKey;
use rustix::io::{preadv, retry_on_intr};

use super::stream::{CHUNK_BYTES, Chunks, NONCE_BYTES, SEALED_CHUNK_BYTES, TAG_BYTES, Tag};
use crate::chunked::Chunked;

/// Chunks that one call of the system brings.
const BATCH: usize = 16;
/// From here on a read is shared between processors.
const SHARED_BYTES: usize = 1 << 20;

/// Length of the sealed file for that of its plaintext.
pub(crate) fn sealed_length(length: u64) -> u64 {
    let n_chunks = length.div_ceil(CHUNK_BYTES as u64).max(1);
    (NONCE_BYTES as u64).saturating_add(length).saturating_add(n_chunks.saturating_mul(TAG_BYTES as u64))
}

/// Length of the plaintext of a whole sealed file; `None`: no file has that length.
pub(crate) fn plain_length(sealed: u64) -> Option<u64> {
    let payload = sealed.checked_sub(NONCE_BYTES as u64)?;
    let n_chunks = payload.div_ceil(SEALED_CHUNK_BYTES as u64).max(1);
    payload.checked_sub(n_chunks.checked_mul(TAG_BYTES as u64)?)
}

/// What seals one file.
#[derive(Clone)]
pub(crate) struct FileCipher {
    chunks: Chunks,
}

impl fmt::Debug for FileCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileCipher")
    }
}

impl FileCipher {
    pub(super) fn new(file_key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> Self {
        Self { chunks: Chunks::new(file_key, nonce) }
    }

    /// Writes plaintext that begins with a chunk. Whole chunks, and at the end of the file what is left; gives how many
    /// bytes went. `size`: of the file, where it is known; without it the last chunk stays behind.
    pub(crate) fn write_at(&self, file: &File, bytes: &[u8], at: u64, size: Option<u64>) -> io::Result<usize> {
        let (mut done, mut sealed) = (0, Vec::with_capacity(bytes.len() + bytes.len() / 1024 + SEALED_CHUNK_BYTES));
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let n = rest.len().min(CHUNK_BYTES);
            let end = at.saturating_add((done + n) as u64);
            let is_last = size == Some(end);
            // A whole chunk may still turn out to be the last.
            if !is_last && (n < CHUNK_BYTES || (size.is_none() && rest.len() == n)) {
                break;
            }
            let (begin, number) = (sealed.len(), at.saturating_add(done as u64) / CHUNK_BYTES as u64);
            sealed.extend_from_slice(&rest[..n]);
            let tag = self.chunks.seal(number, is_last, &mut sealed[begin..]).map_err(|_| unsealed())?;
            sealed.extend_from_slice(&tag);
            done += n;
        }
        file.write_all_at(&sealed, place(at / CHUNK_BYTES as u64))?;
        Ok(done)
    }

    /// The one chunk of a file without bytes.
    pub(crate) fn write_empty(&self, file: &File) -> io::Result<()> {
        let tag = self.chunks.seal(0, true, &mut []).map_err(|_| unsealed())?;
        file.write_all_at(&tag, place(0))
    }
}

/// Where a chunk lies.
const fn place(number: u64) -> u64 {
    (NONCE_BYTES as u64).saturating_add(number.saturating_mul(SEALED_CHUNK_BYTES as u64))
}

/// Seals what is written from start to end; [`Self::finish`] seals the last chunk, without which the file is none.
pub(crate) struct SealingWriter<W> {
    to: W,
    cipher: FileCipher,
    chunk: Vec<u8>,
    number: u64,
}

impl<W: Write> SealingWriter<W> {
    pub(super) fn new(to: W, cipher: FileCipher) -> Self {
        Self { to, cipher, chunk: Vec::with_capacity(SEALED_CHUNK_BYTES), number: 0 }
    }

    /// The end of the file.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let tag = self.cipher.chunks.seal(self.number, is_last, &mut self.chunk).map_err(|_| unsealed())?;
        self.to.write_all(&self.chunk)?;
        self.to.write_all(&tag)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }
}

impl<W: Write> Write for SealingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // A full chunk waits for more, since it may be the last.
        if self.chunk.len() == CHUNK_BYTES {
            self.seal(false)?;
        }
        let n = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A sealed file as its plaintext, in memory only.
pub(crate) struct SealedFile {
    file: File,
    chunks: Chunks,
    length: u64,
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFile").field("length", &self.length).finish_non_exhaustive()
    }
}

impl SealedFile {
    pub(super) fn new(file: File, cipher: FileCipher) -> io::Result<Self> {
        let sealed = file.metadata()?.len();
        let length = plain_length(sealed).ok_or_else(|| {
            let fault = format!("{sealed} bytes are no encrypted file; fetch the model again");
            io::Error::new(io::ErrorKind::InvalidData, fault)
        })?;
        Ok(Self { file, chunks: cipher.chunks, length })
    }

    fn is_last(&self, number: u64) -> bool {
        number.saturating_add(1).saturating_mul(CHUNK_BYTES as u64) >= self.length
    }

    /// Opens chunks from `first` on into `buffer`, whose length is that of their plaintext. They are read to where their
    /// plaintext shall be, and opened there: nothing is copied, and no plaintext is left elsewhere.
    fn open(&self, first: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut number = first;
        for batch in buffer.chunks_mut(CHUNK_BYTES * BATCH) {
            let mut tags = [[0; TAG_BYTES]; BATCH];
            self.read_sealed(number, batch, &mut tags)?;
            for (chunk, tag) in batch.chunks_mut(CHUNK_BYTES).zip(tags) {
                self.chunks.open(number, self.is_last(number), chunk, tag).map_err(|_| tampered(number))?;
                number += 1;
            }
        }
        Ok(())
    }

    /// As many chunks as `batch` has room for, and the tags between them.
    fn read_sealed(&self, first: u64, batch: &mut [u8], tags: &mut [Tag; BATCH]) -> io::Result<()> {
        let parts = batch.chunks_mut(CHUNK_BYTES).zip(tags);
        let mut parts: Vec<_> = parts.flat_map(|(chunk, tag)| [IoSliceMut::new(chunk), IoSliceMut::new(tag)]).collect();
        let (mut rest, mut at) = (parts.as_mut_slice(), place(first));
        while !rest.is_empty() {
            let n = retry_on_intr(|| preadv(&self.file, rest, at))?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            IoSliceMut::advance_slices(&mut rest, n);
            at = at.saturating_add(n as u64);
        }
        Ok(())
    }
}

impl Chunked for SealedFile {
    const BYTES: usize = CHUNK_BYTES;

    fn length(&self) -> u64 {
        self.length
    }

    /// On as many threads as there are processors, from a size on that pays for them.
    fn read_chunks(&self, first: u64, buffer: &mut [u8]) -> io::Result<()> {
        if buffer.is_empty() {
            let mut tag = [0; TAG_BYTES];
            self.file.read_exact_at(&mut tag, place(0))?;
            return self.chunks.open(0, true, &mut [], tag).map_err(|_| tampered(0));
        }
        let n_threads = thread::available_parallelism().map_or(1, usize::from);
        if buffer.len() < SHARED_BYTES || n_threads == 1 {
            return self.open(first, buffer);
        }
        let n_chunks = buffer.len().div_ceil(CHUNK_BYTES).div_ceil(n_threads);
        let (own, others) = buffer.split_at_mut(buffer.len().min(n_chunks * CHUNK_BYTES));
        thread::scope(|scope| {
            let parts = others.chunks_mut(n_chunks * CHUNK_BYTES).zip(1..);
            let parts: Vec<_> = parts
                .map(|(part, nth)| scope.spawn(move || self.open(first + (nth * n_chunks) as u64, part)))
                .collect();
            let ended_early = |_| Err(io::Error::other("a thread ended early"));
            let own = self.open(first, own);
            parts.into_iter().fold(own, |so_far, part| so_far.and(part.join().unwrap_or_else(ended_early)))
        })
    }
}

fn tampered(number: u64) -> io::Error {
    let fault = format!("chunk {number} is not what was encrypted; fetch the model again");
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

fn unsealed() -> io::Error {
    io::Error::other("a chunk cannot be sealed")
}
