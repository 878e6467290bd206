//! Weights that only the holder of a key can read: the age format (<https://age-encryption.org/v1>), with one header for
//! all files of a model.
//!
//! The header lies beside the files and holds the model's file key, wrapped for one recipient; each file is a nonce and
//! the payload that age defines, sealed in chunks. `cat HEADER FILE | age -d -i KEY` gives the file. Another key needs
//! another header and nothing else, which is one rename whatever the model weighs.

mod file;
mod header;
mod keys;
mod stream;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use age_core::format::FileKey;
use alcazar_formats::{Access, ReadAt};

pub use self::keys::Keys;
use self::{
    file::SealedFile,
    header::{open_header, render_header},
};
pub(crate) use self::{
    file::{FileCipher, SealingWriter, plain_length, sealed_length},
    stream::{CHUNK_BYTES, NONCE_BYTES},
};
use crate::{
    chunked::InChunks,
    error::{FetchError, OnVolume as _},
    volume,
};

/// Larger than any header with one recipient.
const MAX_HEADER_BYTES: u64 = 64 << 10;

/// The file key of one model.
pub(crate) struct Vault {
    file_key: FileKey,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

/// Where the header of a sealed directory lies: beside it.
pub(crate) fn header_path(sealed: &Path) -> PathBuf {
    let mut name = sealed.file_name().unwrap_or_default().to_owned();
    name.push(".age");
    sealed.with_file_name(name)
}

impl Vault {
    /// A new key, and its header at `header`.
    pub(crate) fn create(header: &Path, keys: &Keys) -> Result<Self, FetchError> {
        let file_key = FileKey::try_init_with_mut(|key| random(key)).on_volume("make a key for", header)?;
        volume::write_atomically(header, render_header(&file_key, keys)?.as_bytes())?;
        volume::sync_file(header)?;
        Ok(Self { file_key })
    }

    /// The key that a header holds. One that an older identity opens is wrapped anew for the present one, in one
    /// rename, when `rewrap` is set; the files stay as they are.
    pub(crate) fn open(header: &Path, keys: &Keys, rewrap: bool) -> Result<Self, FetchError> {
        let bytes = read_header(header)?;
        let (file_key, is_current) = open_header(&bytes, keys)?;
        if !is_current && rewrap {
            volume::write_atomically(header, render_header(&file_key, keys)?.as_bytes())?;
            volume::set_mode(header, 0o444)?;
            volume::sync_file(header)?;
            if let Some(parent) = header.parent() {
                volume::sync_file(parent)?;
            }
            tracing::info!(recipient = keys.recipient(), "the weights' key was wrapped anew");
        }
        Ok(Self { file_key })
    }

    /// The cipher of a file with a nonce.
    pub(crate) fn cipher(&self, nonce: &[u8; NONCE_BYTES]) -> FileCipher {
        FileCipher::new(&self.file_key, nonce)
    }

    /// Opens a data file for writing chunks anywhere; one that is begun keeps its nonce.
    pub(crate) fn begin(&self, path: &Path) -> Result<(File, FileCipher), FetchError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).on_volume("open", path)?;
        let mut nonce = [0; NONCE_BYTES];
        if file.metadata().on_volume("inspect", path)?.len() < NONCE_BYTES as u64 {
            random(&mut nonce).on_volume("make a nonce for", path)?;
            file.write_all_at(&nonce, 0).on_volume("write", path)?;
        } else {
            file.read_exact_at(&mut nonce, 0).on_volume("read", path)?;
        }
        Ok((file, self.cipher(&nonce)))
    }

    /// Writes a file from its start.
    pub(crate) fn writer(&self, path: &Path) -> Result<SealingWriter<File>, FetchError> {
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce).on_volume("make a nonce for", path)?;
        let mut file = File::create(path).on_volume("create", path)?;
        file.write_all(&nonce).on_volume("write", path)?;
        Ok(SealingWriter::new(file, self.cipher(&nonce)))
    }

    /// The nonce of a file, which says with what it was sealed.
    pub(crate) fn nonce(file: &File) -> io::Result<[u8; NONCE_BYTES]> {
        let mut nonce = [0; NONCE_BYTES];
        file.read_exact_at(&mut nonce, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let fault = "it is too short for an encrypted file; fetch the model again";
                io::Error::new(io::ErrorKind::InvalidData, fault)
            }
            _ => error,
        })?;
        Ok(nonce)
    }

    /// Opens files that have this nonce.
    pub(crate) const fn pinned(&self, nonce: [u8; NONCE_BYTES]) -> Pinned<'_> {
        Pinned { vault: self, nonce }
    }

    /// Opens a file that must have a nonce that is known already.
    pub(crate) fn open_sealed(
        &self,
        path: &Path,
        nonce: Option<[u8; NONCE_BYTES]>,
    ) -> io::Result<InChunks<SealedFile>> {
        let file = File::open(path)?;
        let found = Self::nonce(&file)?;
        if nonce.is_some_and(|nonce| nonce != found) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not the file that was verified"));
        }
        SealedFile::new(file, self.cipher(&found)).map(InChunks::new)
    }
}

/// Opens files that have one nonce.
#[derive(Debug)]
pub(crate) struct Pinned<'a> {
    vault: &'a Vault,
    nonce: [u8; NONCE_BYTES],
}

impl Access for Pinned<'_> {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(self.vault.open_sealed(path, Some(self.nonce))?))
    }
}

impl Access for Vault {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(self.open_sealed(path, None)?))
    }
}

fn read_header(path: &Path) -> Result<Vec<u8>, FetchError> {
    let meta = fs::symlink_metadata(path).on_volume("open", path)?;
    if !meta.is_file() || meta.len() > MAX_HEADER_BYTES {
        return Err(FetchError::key(format!("{} is no header of encrypted weights; fetch them again", path.display())));
    }
    fs::read(path).on_volume("read", path)
}

fn random(bytes: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        done += rustix::rand::getrandom(&mut bytes[done..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}

/// Bytes of chance for other parts of the store.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), FetchError> {
    random(bytes)
        .map_err(|error| FetchError::VolumeState { fault: format!("the system gives no random bytes: {error}") })
}
