//! HDF5 as Keras and h5py write it: groups and datasets of numbers, in one stretch or in boxes, not compressed.
//!
//! An own reader: what these programs write is a small part of the format, and each claim of a file is checked against
//! its length here. Read are superblocks 0 to 3 with 64-bit addresses, object headers 1 and 2, groups by symbol tables or compact
//! links, layouts 3, and 4 where it is not chunked. Attributes are passed over. Everything else is refused by name.

use std::{cell::Cell, collections::HashSet};

use crate::{
    Error,
    checkpoint::{TENSORS, Tensor},
    error::excerpt,
    fields::Fields,
    file::SourceFile,
};

mod chunks;
mod group;
mod header;
mod messages;

const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// An address that says that there is nothing.
const NOWHERE: u64 = u64::MAX;
const NAME_LIMIT: usize = 1024;
const DEPTH_LIMIT: usize = 32;
/// Objects, nodes and continuations that one file may make the reader visit.
const VISIT_LIMIT: usize = TENSORS * 8;

/// A file that is being read, and how much may still be visited.
struct Reader<'a> {
    file: &'a SourceFile,
    visits_left: usize,
    /// Heads take less than the file; what points to the same bytes again and again takes more.
    bytes_left: Cell<u64>,
}

impl Reader<'_> {
    fn malformed(&self, at: u64, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::malformed(self.file.path(), at, found, expected)
    }

    fn unsupported(&self, found: impl Into<String>) -> Error {
        let supported =
            "HDF5 as Keras and h5py write it by default (groups by symbol tables, plain or chunked numbers)";
        Error::unsupported(self.file.path(), found, supported)
    }

    /// One step of the work.
    fn visit(&mut self, at: u64) -> Result<(), Error> {
        match self.visits_left.checked_sub(1) {
            Some(left) => {
                self.visits_left = left;
                Ok(())
            }
            None => Err(self.malformed(at, format!("more than {VISIT_LIMIT} objects"), "fewer")),
        }
    }

    fn bytes(&self, at: u64, n_bytes: u64) -> Result<Vec<u8>, Error> {
        match self.bytes_left.get().checked_sub(n_bytes) {
            Some(left) => self.bytes_left.set(left),
            None => return Err(self.malformed(at, format!("{n_bytes} bytes more of heads"), "heads within the file")),
        }
        self.file.bytes_at(at, n_bytes)
    }
}

/// All datasets of numbers below the root, under their paths; `nth` is the file's place in the checkpoint.
pub(super) fn datasets(file: &SourceFile, nth: usize) -> Result<Vec<Tensor>, Error> {
    let bytes_left = Cell::new(file.length().saturating_mul(2).saturating_add(1 << 20));
    let mut reader = Reader { file, visits_left: VISIT_LIMIT, bytes_left };
    let root = superblock(&reader)?;
    let mut found = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut waiting = vec![(String::new(), root, 0usize)];
    // Groups are taken from the end, so that their members come in order.
    while let Some((path, address, depth)) = waiting.pop() {
        reader.visit(address)?;
        let messages = header::read(&mut reader, address)?;
        if let Some(tensor) = messages::dataset(&mut reader, &messages, &path, address, nth)? {
            found.push(tensor);
            continue;
        }
        let mut members = group::members(&mut reader, &messages)?;
        members.reverse();
        for (name, address) in members {
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            if path.len() > NAME_LIMIT || depth >= DEPTH_LIMIT {
                return Err(reader.malformed(address, format!("the path {}", excerpt(&path)), "a shorter one"));
            }
            // A second link to the same object would be a copy, or a circle.
            if seen.insert(address) {
                waiting.push((path, address, depth + 1));
            }
        }
    }
    Ok(found)
}

/// Address of the root's header.
fn superblock(reader: &Reader<'_>) -> Result<u64, Error> {
    let head = reader.bytes(0, reader.file.length().min(128))?;
    let mut fields = Fields { bytes: &head };
    if fields.take(8) != Some(&SIGNATURE) {
        let expected = "an HDF5 file (an HTML page or a pointer file is none)";
        return Err(reader.malformed(0, "another kind of file", expected));
    }
    let parsed = (|| {
        let version = fields.u8()?;
        match version {
            0 | 1 => {
                fields.take(4)?;
                let sizes = (fields.u8()?, fields.u8()?);
                fields.take(if version == 0 { 9 } else { 13 })?;
                let base = fields.u64()?;
                fields.take(24 + 8)?;
                Some((version, sizes, base, fields.u64()?))
            }
            2 | 3 => {
                let sizes = (fields.u8()?, fields.u8()?);
                fields.take(1)?;
                let base = fields.u64()?;
                fields.take(16)?;
                Some((version, sizes, base, fields.u64()?))
            }
            _ => Some((version, (8, 8), 0, NOWHERE)),
        }
    })();
    match parsed {
        Some((0..=3, (8, 8), 0, root)) => Ok(root),
        Some((version @ 0..=3, (offsets, lengths), base, _)) => Err(reader.unsupported(format!(
            "a superblock {version} with {offsets}-byte addresses, {lengths}-byte lengths and base {base}"
        ))),
        Some((version, ..)) => Err(reader.unsupported(format!("a superblock of version {version}"))),
        None => Err(reader.malformed(8, "a cut superblock", "a whole one")),
    }
}
