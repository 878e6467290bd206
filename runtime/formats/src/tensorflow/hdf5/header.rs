//! Object headers: the messages that say what an object is.

use super::Reader;
use crate::{Error, fields::Fields};

/// A header has a handful of messages, and as many attributes as its author liked.
const MESSAGE_LIMIT: usize = 1 << 12;
const BLOCK_LIMIT: u64 = 16 << 20;
const CONTINUATION: u16 = 0x10;

/// One message: its type, its bytes, where they are.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Version {
    number: u8,
    /// Whether messages of version 2 carry the order in which they were made.
    has_order: bool,
}

/// All messages of the header at this address.
pub(super) fn read(reader: &mut Reader<'_>, at: u64) -> Result<Vec<Message>, Error> {
    let room = reader.file.length().saturating_sub(at);
    let start = reader.bytes(at, room.min(64))?;
    let parsed = if start.starts_with(b"OHDR") { version_2(&start) } else { version_1(&start) };
    let Some((version, skip, n_bytes)) = parsed else {
        return Err(reader.malformed(at, "no object header", "one of version 1 or 2"));
    };
    let mut blocks = vec![(at.saturating_add(skip), n_bytes)];
    let mut messages = Vec::new();
    while let Some((at, n_bytes)) = blocks.pop() {
        reader.visit(at)?;
        if n_bytes > BLOCK_LIMIT {
            return Err(reader.malformed(at, format!("a header of {n_bytes} bytes"), format!("at most {BLOCK_LIMIT}")));
        }
        let bytes = reader.bytes(at, n_bytes)?;
        let mut fields = Fields { bytes: &bytes };
        // What is shorter than a message is a gap.
        while let Some((kind, size)) = message_head(&mut fields, version) {
            let place = at.saturating_add((bytes.len() - fields.bytes.len()) as u64);
            let Some(body) = fields.take(size.into()) else {
                return Err(reader.malformed(place, format!("a message of {size} bytes"), "one within its header"));
            };
            if kind == CONTINUATION {
                blocks.push(continuation(reader, body, place, version)?);
            } else if matches!(kind, 0x01..=0x11) && kind != 0x0c {
                messages.push(Message { kind, at: place, bytes: body.to_vec() });
            }
            if messages.len() > MESSAGE_LIMIT {
                return Err(reader.malformed(place, format!("more than {MESSAGE_LIMIT} messages"), "fewer"));
            }
        }
    }
    Ok(messages)
}

/// Version, bytes before the messages, bytes of messages.
fn version_1(start: &[u8]) -> Option<(Version, u64, u64)> {
    let mut fields = Fields { bytes: start };
    let number = fields.u8()?;
    fields.take(7)?;
    let n_bytes = fields.u32()?;
    (number == 1).then_some((Version { number, has_order: false }, 16, n_bytes.into()))
}

fn version_2(start: &[u8]) -> Option<(Version, u64, u64)> {
    let mut fields = Fields { bytes: start };
    fields.take(4)?;
    let (number, flags) = (fields.u8()?, fields.u8()?);
    if flags & 0x20 != 0 {
        fields.take(16)?;
    }
    if flags & 0x10 != 0 {
        fields.take(4)?;
    }
    let n_bytes = match flags & 3 {
        0 => fields.u8()?.into(),
        1 => fields.u16()?.into(),
        2 => fields.u32()?.into(),
        _ => fields.u64()?,
    };
    let skip = (start.len() - fields.bytes.len()) as u64;
    (number == 2).then_some((Version { number, has_order: flags & 4 != 0 }, skip, n_bytes))
}

fn message_head(fields: &mut Fields<'_>, version: Version) -> Option<(u16, u16)> {
    if version.number == 1 {
        let head = (fields.u16()?, fields.u16()?);
        fields.take(4)?;
        return Some(head);
    }
    let head = (fields.u8()?.into(), fields.u16()?);
    fields.take(1)?;
    if version.has_order {
        fields.take(2)?;
    }
    Some(head)
}

/// Where the messages of a continuation are.
fn continuation(reader: &Reader<'_>, body: &[u8], at: u64, version: Version) -> Result<(u64, u64), Error> {
    let mut fields = Fields { bytes: body };
    let place = fields.u64().zip(fields.u64());
    let place = place.and_then(|(offset, n_bytes)| match version.number {
        1 => Some((offset, n_bytes)),
        // A signature before, a checksum behind.
        _ => Some((offset.checked_add(4)?, n_bytes.checked_sub(8)?)),
    });
    place.ok_or_else(|| reader.malformed(at, "a broken continuation", "an address and a length"))
}
