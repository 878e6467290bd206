//! The bytes of a pickle, and where in the file they are.

use std::{
    io::{BufReader, Read},
    path::Path,
};

use crate::{
    Error,
    file::{Section, SourceFile},
};

/// A string of a pickle; names of tensors are far shorter.
const STRING_LIMIT: u64 = 1 << 20;
/// Larger ones describe training, not weights.
const PICKLE_LIMIT: u64 = 64 << 20;

pub(in crate::pytorch) struct Input<'a> {
    reader: BufReader<Section<'a>>,
    file: &'a Path,
    position: u64,
    end: u64,
}

impl<'a> Input<'a> {
    /// At most `n_bytes` from `offset`.
    pub(in crate::pytorch) fn new(file: &'a SourceFile, offset: u64, n_bytes: u64) -> Self {
        let n_bytes = n_bytes.min(PICKLE_LIMIT);
        let end = offset.saturating_add(n_bytes).min(file.length());
        let section = Section::new(file, offset, n_bytes);
        Self { reader: BufReader::with_capacity(1 << 16, section), file: file.path(), position: offset, end }
    }

    /// In the file.
    pub(in crate::pytorch) const fn position(&self) -> u64 {
        self.position
    }

    pub(in crate::pytorch) const fn file(&self) -> &'a Path {
        self.file
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Error> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Memory is asked for only when the pickle has the bytes.
    pub(super) fn bytes(&mut self, n: u64) -> Result<Vec<u8>, Error> {
        let left = self.end.saturating_sub(self.position);
        let length = usize::try_from(n).ok().filter(|_| n <= left.min(STRING_LIMIT));
        let Some(length) = length else {
            let expected = format!("at most {} (the rest of the pickle or the limit)", left.min(STRING_LIMIT));
            return Err(Error::malformed(self.file, self.position, format!("a string of {n} bytes"), expected));
        };
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn text(&mut self, n: u64) -> Result<String, Error> {
        let at = self.position;
        String::from_utf8(self.bytes(n)?)
            .map_err(|error| Error::malformed(self.file, at, format!("a string that is not UTF-8: {error}"), "UTF-8"))
    }

    /// Up to the end of the line, which is left out.
    pub(super) fn line(&mut self) -> Result<String, Error> {
        const LINE_LIMIT: usize = 256;
        let (at, mut line) = (self.position, Vec::new());
        loop {
            match self.u8()? {
                b'\n' => break,
                _ if line.len() >= LINE_LIMIT => {
                    let expected = format!("at most {LINE_LIMIT} bytes");
                    return Err(Error::malformed(self.file, at, "a long line", expected));
                }
                byte => line.push(byte),
            }
        }
        String::from_utf8(line)
            .map_err(|error| Error::malformed(self.file, at, format!("a name that is not UTF-8: {error}"), "UTF-8"))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let (n, left) = (bytes.len() as u64, self.end.saturating_sub(self.position));
        if n > left {
            let expected = format!("{n} bytes more (the file is cut off)");
            return Err(Error::malformed(self.file, self.position, format!("{left} bytes of pickle"), expected));
        }
        self.reader.read_exact(bytes).map_err(|source| Error::read(self.file, self.position, source))?;
        self.position = self.position.saturating_add(n);
        Ok(())
    }
}
