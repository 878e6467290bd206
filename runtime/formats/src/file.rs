//! A file that is read at given places, never beyond its end.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

#[cfg(test)]
use crate::Plain;
use crate::{Access, Error, ReadAt};

/// An open file and its length at that time.
#[derive(Debug)]
pub(crate) struct SourceFile {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    length: u64,
}

impl SourceFile {
    /// As it lies.
    #[cfg(test)]
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(&Plain, path)
    }

    pub(crate) fn open_with(access: &dyn Access, path: &Path) -> Result<Self, Error> {
        // The kind first: an open of a pipe would wait.
        let metadata = std::fs::metadata(path).map_err(|source| Error::read(path, 0, source))?;
        if !metadata.is_file() {
            return Err(Error::malformed(path, 0, "no regular file", "a model file"));
        }
        let file = access.open(path).map_err(|source| Error::read(path, 0, source))?;
        Ok(Self { path: path.to_owned(), length: file.length(), file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Bytes at a place that the header's check has found to lie within the file.
    pub(crate) fn bytes_at(&self, offset: u64, n_bytes: u64) -> Result<Vec<u8>, Error> {
        let within = offset.checked_add(n_bytes).is_some_and(|end| end <= self.length);
        let (true, Ok(n)) = (within, usize::try_from(n_bytes)) else {
            let expected = format!("{n_bytes} bytes");
            return Err(Error::malformed(&self.path, offset, format!("a file of {} bytes", self.length), expected));
        };
        let mut bytes = vec![0; n];
        self.file.read_exact_at(&mut bytes, offset).map_err(|source| Error::read(&self.path, offset, source))?;
        Ok(bytes)
    }
}

/// A stretch of a file as a stream; it ends where the stretch or the file does.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    file: &'a SourceFile,
    at: u64,
    end: u64,
}

impl<'a> Section<'a> {
    pub(crate) fn new(file: &'a SourceFile, at: u64, n_bytes: u64) -> Self {
        Self { file, at, end: at.saturating_add(n_bytes).min(file.length) }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let n = self.file.file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), self.at)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

/// A whole small file; one that is larger than `limit` is refused before it is read. `None`: there is no such file.
pub(crate) fn read_small(access: &dyn Access, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(source) => return Err(Error::read(path, 0, source)),
    }
    let file = SourceFile::open_with(access, path)?;
    if file.length() > limit {
        return Err(Error::malformed(path, 0, format!("{} bytes", file.length()), format!("at most {limit} bytes")));
    }
    file.bytes_at(0, file.length()).map(Some)
}
