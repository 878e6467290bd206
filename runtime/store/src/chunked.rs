//! Files of which only whole chunks can be proven or decrypted, read at any place.

use std::{
    fmt::Debug,
    io,
    sync::{Mutex, PoisonError},
};

use alcazar_formats::ReadAt;
use zeroize::Zeroizing;

/// Gives whole chunks.
pub(crate) trait Chunked: Debug + Send + Sync {
    /// Bytes of every chunk but the last.
    const BYTES: usize;

    /// Bytes of all chunks together.
    fn length(&self) -> u64;

    /// Fills a buffer with chunks from `first` on. It ends with a chunk. A file without bytes has one empty chunk.
    fn read_chunks(&self, first: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// Reads at any place.
#[derive(Debug)]
pub(crate) struct InChunks<T> {
    file: T,
    /// The chunk of the last small read: heads are read in many of them, and neighbours share one.
    recent: Mutex<Option<(u64, Zeroizing<Vec<u8>>)>>,
}

impl<T: Chunked> InChunks<T> {
    pub(crate) fn new(file: T) -> Self {
        Self { file, recent: Mutex::default() }
    }

    fn read_within(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (number, within) = (offset / T::BYTES as u64, offset % T::BYTES as u64);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.as_ref().is_none_or(|(known, _)| *known != number) {
            let left = self.file.length().saturating_sub(number.saturating_mul(T::BYTES as u64));
            let mut chunk = Zeroizing::new(vec![0; usize::try_from(left).unwrap_or(T::BYTES).min(T::BYTES)]);
            self.file.read_chunks(number, &mut chunk)?;
            *recent = Some((number, chunk));
        }
        let within = usize::try_from(within).unwrap_or(T::BYTES);
        let chunk = recent.as_ref().and_then(|(_, chunk)| chunk.get(within..)).unwrap_or_default();
        let n = chunk.len().min(buffer.len());
        buffer[..n].copy_from_slice(&chunk[..n]);
        Ok(n)
    }
}

impl<T: Chunked> ReadAt for InChunks<T> {
    fn length(&self) -> u64 {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.file.length().saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            // Also an empty file can have been cut off.
            if self.file.length() == 0 {
                self.file.read_chunks(0, &mut [])?;
            }
            return Ok(0);
        }
        let whole = if wanted == left { wanted } else { wanted - wanted % T::BYTES };
        if !offset.is_multiple_of(T::BYTES as u64) || whole == 0 {
            let to_boundary = T::BYTES - usize::try_from(offset % T::BYTES as u64).unwrap_or(0);
            return self.read_within(&mut buffer[..wanted.min(to_boundary)], offset);
        }
        self.file.read_chunks(offset / T::BYTES as u64, &mut buffer[..whole])?;
        Ok(whole)
    }
}
