//! GGUF versions 2 and 3: header, metadata and the table of tensors.
//!
//! ```text
//! "GGUF" u32 version  u64 n_tensors  u64 n_pairs  pairs…  tensor table…  padding  tensor data…
//! ```
//! Numbers are little-endian. Limits bound what a hostile file can make the reader allocate: about four times its
//! header, and never more than a few hundred MiB.

use std::{collections::HashMap, io::BufReader};

use crate::{
    Error,
    file::{Section, SourceFile},
};

mod cursor;
mod metadata;
mod packing;
mod tensors;

pub mod write;

#[cfg(test)]
mod tests;

pub use metadata::{Array, Metadata, Value};
pub use packing::Packing;
pub use tensors::TensorEntry;

use cursor::Cursor;

const MAGIC: [u8; 4] = *b"GGUF";
/// Far above any real header (a vocabulary of 262,144 with its merges takes about 15 MiB).
const HEADER_LIMIT: u64 = 256 << 20;
const DEFAULT_ALIGNMENT: u64 = 32;
const ALIGNMENT_LIMIT: u64 = 1 << 20;

/// A parsed header.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) metadata: Metadata,
    pub(crate) tensors: HashMap<String, TensorEntry>,
}

/// Reads everything before the tensor data, and checks that each tensor lies in the file, alone.
pub(crate) fn read_header(file: &SourceFile) -> Result<Header, Error> {
    let limit = file.length().min(HEADER_LIMIT);
    let mut cursor =
        Cursor::new(BufReader::with_capacity(1 << 16, Section::new(file, 0, file.length())), file.path(), limit);
    read_magic(&mut cursor, file)?;
    // A tensor takes at least 32 bytes in the table, a pair at least 13.
    let n_tensors = cursor.count("tensors", 32, 1 << 16)?;
    let n_pairs = cursor.count("metadata pairs", 13, 1 << 16)?;
    let metadata = metadata::read(&mut cursor, n_pairs)?;
    let alignment = alignment(&metadata, file)?;
    let entries = tensors::read_table(&mut cursor, n_tensors)?;
    let data_start = cursor.position().next_multiple_of(alignment);
    let tensors = tensors::place(entries, data_start, alignment, file)?;
    Ok(Header { metadata, tensors })
}

fn read_magic(cursor: &mut Cursor<'_, impl std::io::Read>, file: &SourceFile) -> Result<(), Error> {
    let magic = cursor.bytes(4)?;
    if magic != MAGIC {
        let found = crate::error::excerpt(&String::from_utf8_lossy(&magic));
        return Err(Error::malformed(file.path(), 0, found, "\"GGUF\" (an HTML page or a pointer file is no model)"));
    }
    match cursor.u32()? {
        2 | 3 => Ok(()),
        version if version.swap_bytes() <= 3 => {
            Err(Error::unsupported(file.path(), "a big-endian GGUF file", "little-endian GGUF files"))
        }
        version => Err(Error::unsupported(file.path(), format!("GGUF version {version}"), "versions 2 and 3")),
    }
}

fn alignment(metadata: &Metadata, file: &SourceFile) -> Result<u64, Error> {
    match metadata.u64("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(alignment) if alignment.is_power_of_two() && alignment <= ALIGNMENT_LIMIT => Ok(alignment),
        Some(alignment) => {
            let expected = format!("a power of two up to {ALIGNMENT_LIMIT}");
            Err(Error::malformed(file.path(), 0, format!("general.alignment {alignment}"), expected))
        }
    }
}
