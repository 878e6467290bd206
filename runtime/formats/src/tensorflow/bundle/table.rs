//! The sorted table (LevelDB's) that a checkpoint's `.index` is.
//!
//! ```text
//! block…  block of places of blocks   footer: places of two blocks, magic number
//! block: entries (bytes shared with the last key, own bytes, bytes of value, key, value), restarts, compression, CRC-32C
//! ```

use crate::{Error, checkpoint::TENSORS, fields::Fields, file::SourceFile, tensorflow::Crc32c};

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const FOOTER_BYTES: u64 = 48;
const TRAILER_BYTES: u64 = 5;
/// The table of the largest model has a few MiB.
const BLOCK_LIMIT: u64 = 64 << 20;
const KEY_LIMIT: usize = 4096;
const ENTRY_LIMIT: usize = TENSORS * 4;

type Entries = Vec<(String, Vec<u8>)>;
/// Before the keys are known to be text.
type RawEntries = Vec<(Vec<u8>, Vec<u8>)>;

/// All entries, in order.
pub(super) fn entries(file: &SourceFile) -> Result<Entries, Error> {
    let n = file.length().min(FOOTER_BYTES);
    let at = file.length() - n;
    let footer = file.bytes_at(at, n)?;
    let place = (|| {
        let mut rest = Fields { bytes: &footer };
        let mut magic = Fields { bytes: footer.get(40..)? };
        (magic.u64()? == MAGIC).then_some(())?;
        rest.varint()?;
        rest.varint()?;
        Some((rest.varint()?, rest.varint()?))
    })();
    let Some((offset, n_bytes)) = place else {
        return Err(Error::malformed(file.path(), at, "another kind of file", "the table of a TensorFlow checkpoint"));
    };
    let (mut all, mut room) = (Vec::new(), file.length());
    for (_, place) in block(file, offset, n_bytes, ENTRY_LIMIT)? {
        let mut rest = Fields { bytes: &place };
        let (Some(offset), Some(n_bytes)) = (rest.varint(), rest.varint()) else {
            return Err(Error::malformed(file.path(), offset, "a broken place", "places of blocks"));
        };
        let Some(left) = room.checked_sub(n_bytes) else {
            return Err(Error::malformed(file.path(), offset, "a block twice", "blocks that share no byte"));
        };
        room = left;
        for (key, value) in block(file, offset, n_bytes, ENTRY_LIMIT.saturating_sub(all.len()))? {
            let key = String::from_utf8(key).map_err(|error| {
                Error::malformed(file.path(), offset, format!("no UTF-8: {error}"), "names in UTF-8")
            })?;
            all.push((key, value));
        }
    }
    Ok(all)
}

fn block(file: &SourceFile, at: u64, n_bytes: u64, at_most: usize) -> Result<RawEntries, Error> {
    let malformed = |found: String, expected: &str| Error::malformed(file.path(), at, found, expected);
    if n_bytes > BLOCK_LIMIT {
        return Err(malformed(format!("a block of {n_bytes} bytes"), &format!("at most {BLOCK_LIMIT}")));
    }
    let bytes = file.bytes_at(at, n_bytes.saturating_add(TRAILER_BYTES))?;
    let checked = bytes.split_last_chunk::<4>();
    let Some((body, checksum)) = checked else { return Err(malformed("no block".to_owned(), "a block")) };
    let (found, expected) = (Crc32c::of(body).masked(), u32::from_le_bytes(*checksum));
    // A fuzzer would spend its life at this door.
    if found != expected && !cfg!(fuzzing) {
        return Err(malformed(format!("checksum {found:08x}"), &format!("{expected:08x} (the table is damaged)")));
    }
    let Some((compression, body)) = body.split_last() else { return Err(malformed("no block".to_owned(), "a block")) };
    if *compression != 0 {
        return Err(Error::unsupported(file.path(), "a compressed table", "tables as TensorFlow writes them"));
    }
    parse(body, at_most).ok_or_else(|| malformed("broken or too many entries".to_owned(), "whole entries of a table"))
}

pub(super) fn parse(body: &[u8], at_most: usize) -> Option<RawEntries> {
    let (rest, n_restarts) = body.split_last_chunk::<4>()?;
    let restarts = usize::try_from(u32::from_le_bytes(*n_restarts)).ok()?.checked_mul(4)?;
    let mut rest = Fields { bytes: rest.get(..rest.len().checked_sub(restarts)?)? };
    let (mut all, mut key) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (shared, own, value) = (rest.varint()?, rest.varint()?, rest.varint()?);
        key.truncate(usize::try_from(shared).ok().filter(|shared| *shared <= key.len())?);
        key.extend(rest.take_u64(own)?);
        if key.len() > KEY_LIMIT || all.len() >= at_most {
            return None;
        }
        all.push((key.clone(), rest.take_u64(value)?.to_vec()));
    }
    Some(all)
}
