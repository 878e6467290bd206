//! Files that were hashed, and stay what they were hashed as: whatever is read of them later is the same, or an error.
//!
//! Hashing reads every byte once; loading reads them again. In between, whoever can write to the volume could change a
//! file. So hashing leaves a tag of every chunk (Poly1305 under a random key that never leaves this process), and a
//! later read of a chunk is compared with its tag before a byte of it is parsed. Of encrypted files the nonce is enough:
//! under it nobody without the key can make another chunk. A file that was not hashed is not opened at all.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use alcazar_formats::{Access, ReadAt};
use poly1305::{Poly1305, universal_hash::KeyInit as _};
use zeroize::Zeroizing;

use crate::{
    chunked::{Chunked, InChunks},
    encryption::{NONCE_BYTES, Vault, fill_random},
    error::FetchError,
};

#[cfg(test)]
mod tests;

/// Bytes that one tag stands for. Pieces of a hash are multiples of it.
pub(crate) const TAGGED_BYTES: usize = 256 << 10;

type Tag = [u8; 16];

/// Proves chunks. The tags are never shown, so one key serves them all.
#[derive(Clone)]
pub(crate) struct Tagger(Arc<Zeroizing<[u8; 32]>>);

impl Tagger {
    pub(crate) fn new() -> Result<Self, FetchError> {
        let mut key = Zeroizing::new([0; 32]);
        fill_random(key.as_mut())?;
        Ok(Self(Arc::new(key)))
    }

    fn tag(&self, chunk: &[u8]) -> Tag {
        Poly1305::new((&**self.0).into()).compute_unpadded(chunk).into()
    }

    /// The tags of a piece that begins with a chunk.
    pub(crate) fn tags(&self, piece: &[u8]) -> impl Iterator<Item = Tag> {
        piece.chunks(TAGGED_BYTES).map(|chunk| self.tag(chunk))
    }
}

impl std::fmt::Debug for Tagger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tagger")
    }
}

/// What a hashed file is known by.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    Tags { length: u64, tags: Arc<[Tag]> },
    Nonce([u8; NONCE_BYTES]),
}

/// The files of a model that were hashed.
#[derive(Debug)]
pub struct Verified {
    tagger: Tagger,
    vault: Option<Arc<Vault>>,
    proofs: HashMap<PathBuf, Proof>,
}

impl Verified {
    pub(crate) fn new(tagger: Tagger, vault: Option<Arc<Vault>>, proofs: HashMap<PathBuf, Proof>) -> Self {
        Self { tagger, vault, proofs }
    }
}

impl Access for Verified {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        let invalid = |fault: &str| io::Error::new(io::ErrorKind::InvalidData, fault.to_owned());
        match (self.proofs.get(path), &self.vault) {
            (None, _) => Err(invalid("it was not there when the model was verified")),
            (Some(Proof::Nonce(nonce)), Some(vault)) => Ok(Box::new(vault.open_sealed(path, Some(*nonce))?)),
            (Some(Proof::Nonce(_)), None) => Err(invalid("it is encrypted")),
            (Some(Proof::Tags { length, tags }), _) => {
                let file = File::open(path)?;
                let meta = file.metadata()?;
                if !meta.is_file() || meta.len() != *length {
                    return Err(invalid("it is not the file that was verified"));
                }
                let (length, tags, tagger) = (*length, Arc::clone(tags), self.tagger.clone());
                Ok(Box::new(InChunks::new(TaggedFile { file, length, tags, tagger })))
            }
        }
    }
}

#[derive(Debug)]
struct TaggedFile {
    file: File,
    length: u64,
    tags: Arc<[Tag]>,
    tagger: Tagger,
}

impl Chunked for TaggedFile {
    const BYTES: usize = TAGGED_BYTES;

    fn length(&self) -> u64 {
        self.length
    }

    fn read_chunks(&self, first: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, first.saturating_mul(TAGGED_BYTES as u64))?;
        let expected = self.tags.get(usize::try_from(first).unwrap_or(usize::MAX)..).unwrap_or_default();
        let n_chunks = buffer.len().div_ceil(TAGGED_BYTES);
        if expected.get(..n_chunks).is_some_and(|expected| self.tagger.tags(buffer).eq(expected.iter().copied())) {
            return Ok(());
        }
        let fault = "it was changed after it was verified; find out who writes to the volume";
        Err(io::Error::new(io::ErrorKind::InvalidData, fault))
    }
}
