//! Reads little-endian values and remembers where it is, for errors and limits.

use std::{io::Read, path::Path};

use crate::Error;

const KEY_LIMIT: u64 = 1 << 16;
const STRING_LIMIT: u64 = 8 << 20;
/// Elements of one array, and of all arrays of strings together.
const ARRAY_LIMIT: u64 = 1 << 22;

pub(super) struct Cursor<'a, R> {
    reader: R,
    file: &'a Path,
    position: u64,
    limit: u64,
    strings_left: u64,
}

impl<'a, R: Read> Cursor<'a, R> {
    /// `limit`: bytes that may be read; the file's length or less.
    pub(super) const fn new(reader: R, file: &'a Path, limit: u64) -> Self {
        Self { reader, file, position: 0, limit, strings_left: ARRAY_LIMIT }
    }

    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    pub(super) const fn file(&self) -> &'a Path {
        self.file
    }

    pub(super) fn malformed(&self, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::malformed(self.file, self.position, found, expected)
    }

    /// Exactly `n` bytes; memory is asked for only when the file has them.
    pub(super) fn bytes(&mut self, n: u64) -> Result<Vec<u8>, Error> {
        let left = self.limit - self.position;
        let Some(length) = usize::try_from(n).ok().filter(|_| n <= left) else {
            return Err(self.malformed(format!("{left} bytes before the end"), format!("{n} bytes more")));
        };
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let left = self.limit - self.position;
        let n = bytes.len() as u64;
        if n > left {
            return Err(self.malformed(format!("{left} bytes before the end"), format!("{n} bytes more")));
        }
        self.reader.read_exact(bytes).map_err(|source| Error::read(self.file, self.position, source))?;
        self.position += n;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// How many things follow, each at least `bytes_each` long.
    pub(super) fn count(&mut self, what: &str, bytes_each: u64, at_most: u64) -> Result<u64, Error> {
        let at = self.position;
        let n = self.u64()?;
        let room = (self.limit - self.position) / bytes_each;
        if n > room.min(at_most) {
            let expected = format!("at most {} (the rest of the file has room for {room})", room.min(at_most));
            return Err(Error::malformed(self.file, at, format!("{n} {what}"), expected));
        }
        Ok(n)
    }

    /// Number of elements of an array.
    pub(super) fn array_length(&mut self, bytes_each: u64) -> Result<u64, Error> {
        self.count("array elements", bytes_each, ARRAY_LIMIT)
    }

    /// Strings cost more memory than file, so all arrays of them share one allowance.
    pub(super) fn allow_strings(&mut self, n: u64) -> Result<(), Error> {
        match self.strings_left.checked_sub(n) {
            Some(left) => {
                self.strings_left = left;
                Ok(())
            }
            None => Err(self.malformed(format!("{n} strings more"), format!("{ARRAY_LIMIT} strings in all"))),
        }
    }

    pub(super) fn key(&mut self, what: &str) -> Result<String, Error> {
        self.limited_string(what, KEY_LIMIT)
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, Error> {
        self.limited_string(what, STRING_LIMIT)
    }

    fn limited_string(&mut self, what: &str, at_most: u64) -> Result<String, Error> {
        let length = self.count(&format!("bytes of {what}"), 1, at_most)?;
        let at = self.position;
        let bytes = self.bytes(length)?;
        String::from_utf8(bytes)
            .map_err(|error| Error::malformed(self.file, at, format!("{what} that is not UTF-8: {error}"), "UTF-8"))
    }
}
