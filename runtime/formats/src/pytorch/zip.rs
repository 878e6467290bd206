//! Where the entries of a zip archive lie, as PyTorch writes them: stored, never compressed, with zip64 sizes.
//!
//! Own code and not a crate: only the places of stored entries are wanted, each checked against the file's length.

use std::collections::HashMap;

use super::Located;
use crate::{Error, error::excerpt, fields::Fields, file::SourceFile};

/// Signature of an entry, with which an archive begins.
pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";
const DIRECTORY_ENTRY: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const END_64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const COMMENT_BYTES: u64 = 0xffff;
const DIRECTORY_LIMIT: u64 = 64 << 20;
const ENTRY_LIMIT: u64 = 1 << 17;
const ZIP64_EXTRA: u16 = 1;
const ENCRYPTED: u16 = 1;

/// The directory of an archive.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    file: &'a SourceFile,
    entries: HashMap<String, Entry>,
    /// Names in the order of the directory.
    names: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Of the entry's own header.
    header: u64,
    n_bytes: u64,
    method: u16,
}

struct Directory {
    offset: u64,
    n_bytes: u64,
    n_entries: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn read(file: &'a SourceFile) -> Result<Self, Error> {
        let directory = find_directory(file)?;
        let wrong = |found: String, expected: &str| Error::malformed(file.path(), directory.offset, found, expected);
        if directory.n_bytes > DIRECTORY_LIMIT || directory.n_entries > ENTRY_LIMIT {
            let found = format!("a directory of {} entries in {} bytes", directory.n_entries, directory.n_bytes);
            return Err(wrong(found, &format!("at most {ENTRY_LIMIT} entries in {DIRECTORY_LIMIT} bytes")));
        }
        let bytes = file.bytes_at(directory.offset, directory.n_bytes)?;
        let mut fields = Fields { bytes: &bytes };
        let (mut entries, mut names) = (HashMap::new(), Vec::new());
        for nth in 0..directory.n_entries {
            let Some((name, entry)) = directory_entry(&mut fields) else {
                return Err(wrong(format!("no entry {nth}"), "a directory of whole entries"));
            };
            names.push(name.clone());
            if entries.insert(name.clone(), entry).is_some() {
                return Err(wrong(format!("entry {} twice", excerpt(&name)), "each entry once"));
            }
        }
        Ok(Self { file, entries, names })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Where the bytes of an entry are; `None`: there is none of that name.
    pub(super) fn locate(&self, name: &str) -> Result<Option<Located>, Error> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let wrong = |found: &str, expected: &str| {
            Error::malformed(self.file.path(), entry.header, format!("{found} of {}", excerpt(name)), expected)
        };
        if entry.method != 0 {
            let found = format!("compression method {}", entry.method);
            return Err(wrong(&found, "stored entries, as PyTorch writes them"));
        }
        let header = self.file.bytes_at(entry.header, 30)?;
        let mut fields = Fields { bytes: &header };
        let start = (|| {
            let is_entry = fields.take(4)? == MAGIC;
            fields.take(22)?;
            let (name, extra) = (u64::from(fields.u16()?), u64::from(fields.u16()?));
            is_entry.then_some(entry.header.checked_add(30 + name + extra)?)
        })();
        let Some(offset) = start else { return Err(wrong("no header", "the header of an entry")) };
        if offset.checked_add(entry.n_bytes).is_none_or(|end| end > self.file.length()) {
            let expected = format!("{} bytes (the file is cut off)", entry.n_bytes);
            return Err(wrong(&format!("a file of {} bytes", self.file.length()), &expected));
        }
        Ok(Some(Located { offset, n_bytes: entry.n_bytes }))
    }
}

fn directory_entry(fields: &mut Fields<'_>) -> Option<(String, Entry)> {
    if fields.take(4)? != DIRECTORY_ENTRY {
        return None;
    }
    fields.take(4)?; // versions
    let flags = fields.u16()?;
    let method = fields.u16()?;
    fields.take(8)?; // time, checksum
    let (packed, size) = (fields.u32()?, fields.u32()?);
    let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
    fields.take(8)?; // disk, attributes
    let header = fields.u32()?;
    let name = String::from_utf8(fields.take(name.into())?.to_vec()).ok()?;
    let mut extra = Fields { bytes: fields.take(extra.into())? };
    fields.take(comment.into())?;
    let (mut size, mut packed, mut header) = (u64::from(size), u64::from(packed), u64::from(header));
    // What does not fit 32 bits stands in the extra field, in this order.
    while let (Some(tag), Some(length)) = (extra.u16(), extra.u16()) {
        let mut wide = Fields { bytes: extra.take(length.into())? };
        if tag == ZIP64_EXTRA {
            for narrow in [&mut size, &mut packed, &mut header] {
                if *narrow == u64::from(u32::MAX) {
                    *narrow = wide.u64()?;
                }
            }
        }
    }
    // An encrypted or compressed entry is refused where it is wanted, by a method that does not exist.
    let method = if flags & ENCRYPTED != 0 || (method == 0 && packed != size) { u16::MAX } else { method };
    Some((name, Entry { header, n_bytes: size, method }))
}

fn find_directory(file: &SourceFile) -> Result<Directory, Error> {
    let n = file.length().min(END_BYTES + COMMENT_BYTES + LOCATOR_BYTES);
    let tail_at = file.length() - n;
    let tail = file.bytes_at(tail_at, n)?;
    let found = tail.windows(4).rposition(|window| window == END);
    let Some(at) = found else {
        let expected = "the end of a zip archive (the file is cut off)";
        return Err(Error::malformed(file.path(), tail_at, "no directory", expected));
    };
    let malformed =
        || Error::malformed(file.path(), tail_at.saturating_add(at as u64), "a cut directory", "a whole one");
    let mut fields = Fields { bytes: tail.get(at..).unwrap_or_default() };
    let narrow = (|| {
        fields.take(10)?;
        Some((fields.u16()?, fields.u32()?, fields.u32()?))
    })();
    let (n_entries, n_bytes, offset) = narrow.ok_or_else(malformed)?;
    if n_entries != u16::MAX && n_bytes != u32::MAX && offset != u32::MAX {
        return Ok(Directory { offset: offset.into(), n_bytes: n_bytes.into(), n_entries: n_entries.into() });
    }
    let locator = at.checked_sub(20).and_then(|at| tail.get(at..at + 20)).unwrap_or_default();
    let mut fields = Fields { bytes: locator };
    let end_64 = (|| {
        let is_locator = fields.take(4)? == END_64_LOCATOR;
        fields.take(4)?;
        fields.u64().filter(|_| is_locator)
    })();
    let bytes = file.bytes_at(end_64.ok_or_else(malformed)?, 56)?;
    let mut fields = Fields { bytes: &bytes };
    let wide = (|| {
        let is_end = fields.take(4)? == END_64;
        fields.take(28)?;
        let (n_entries, n_bytes, offset) = (fields.u64()?, fields.u64()?, fields.u64()?);
        is_end.then_some(Directory { offset, n_bytes, n_entries })
    })();
    wide.ok_or_else(malformed)
}
