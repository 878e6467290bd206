//! Members of a group: by a tree of symbol tables, or by links in its header.

use super::{NOWHERE, Reader, header::Message};
use crate::{Error, fields::Fields};

const LINK_INFO: u16 = 0x02;
const LINK: u16 = 0x06;
const SYMBOL_TABLE: u16 = 0x11;
const HEAP_LIMIT: u64 = 16 << 20;
const HARD: u8 = 0;

/// Names and addresses, in the order of the file.
pub(super) fn members(reader: &mut Reader<'_>, messages: &[Message]) -> Result<Vec<(String, u64)>, Error> {
    let mut members = Vec::new();
    for message in messages {
        let broken = || Error::malformed(reader.file.path(), message.at, "a broken link", "the links of a group");
        match message.kind {
            SYMBOL_TABLE => {
                let mut fields = Fields { bytes: &message.bytes };
                let (tree, heap) = fields.u64().zip(fields.u64()).ok_or_else(broken)?;
                members.extend(by_symbols(reader, tree, heap)?);
            }
            LINK => members.extend(link(&message.bytes).ok_or_else(broken)?),
            LINK_INFO if has_heap(&message.bytes).ok_or_else(broken)? => {
                return Err(reader.unsupported("a group with a fractal heap"));
            }
            _ => {}
        }
    }
    Ok(members)
}

/// None or one member: a link may lead out of the file.
fn link(message: &[u8]) -> Option<Vec<(String, u64)>> {
    let mut fields = Fields { bytes: message };
    let (_, flags) = (fields.u8()?, fields.u8()?);
    let kind = if flags & 8 != 0 { fields.u8()? } else { HARD };
    if flags & 4 != 0 {
        fields.take(8)?;
    }
    if flags & 0x10 != 0 {
        fields.take(1)?;
    }
    let n = match flags & 3 {
        0 => fields.u8()?.into(),
        1 => fields.u16()?.into(),
        2 => fields.u32()?.into(),
        _ => fields.u64()?,
    };
    let name = String::from_utf8(fields.take_u64(n)?.to_vec()).ok()?;
    if kind == HARD { Some(vec![(name, fields.u64()?)]) } else { Some(Vec::new()) }
}

fn has_heap(message: &[u8]) -> Option<bool> {
    let mut fields = Fields { bytes: message };
    let (_, flags) = (fields.u8()?, fields.u8()?);
    if flags & 1 != 0 {
        fields.take(8)?;
    }
    Some(fields.u64()? != NOWHERE)
}

fn by_symbols(reader: &mut Reader<'_>, tree: u64, heap: u64) -> Result<Vec<(String, u64)>, Error> {
    let names = heap_segment(reader, heap)?;
    let mut members = Vec::new();
    let mut waiting = vec![tree];
    while let Some(at) = waiting.pop() {
        reader.visit(at)?;
        let start = reader.bytes(at, 8)?;
        if start.starts_with(b"SNOD") {
            members.extend(symbols(reader, at, &start, &names)?);
            continue;
        }
        // A circle ends where the visits do.
        waiting.extend(children(reader, at, &start)?.into_iter().rev());
    }
    Ok(members)
}

/// What is below a node of a group's tree.
fn children(reader: &Reader<'_>, at: u64, head: &[u8]) -> Result<Vec<u64>, Error> {
    let malformed = || Error::malformed(reader.file.path(), at, "no node", "a node of a group's tree");
    let mut fields = Fields { bytes: head };
    let parsed = (|| {
        (fields.take(4)? == b"TREE" && fields.u8()? == 0).then_some(())?;
        fields.u8()?;
        fields.u16()
    })();
    let n = parsed.ok_or_else(malformed)?;
    let bytes = reader.bytes(at.saturating_add(24), u64::from(n) * 16)?;
    let mut fields = Fields { bytes: &bytes };
    let children = (0..n).map(|_| {
        fields.u64()?;
        fields.u64()
    });
    children.collect::<Option<_>>().ok_or_else(malformed)
}

fn symbols(reader: &Reader<'_>, at: u64, head: &[u8], names: &[u8]) -> Result<Vec<(String, u64)>, Error> {
    let malformed = || Error::malformed(reader.file.path(), at, "broken symbols", "names and addresses");
    let n = head.get(6..8).and_then(|n| n.try_into().ok()).map(u16::from_le_bytes).ok_or_else(malformed)?;
    let bytes = reader.bytes(at.saturating_add(8), u64::from(n) * 40)?;
    let mut fields = Fields { bytes: &bytes };
    let member = |fields: &mut Fields<'_>| {
        let (name, address) = (usize::try_from(fields.u64()?).ok()?, fields.u64()?);
        fields.take(24)?;
        let name = names.get(name..)?.split(|byte| *byte == 0).next()?;
        Some((str::from_utf8(name).ok()?.to_owned(), address))
    };
    (0..n).map(|_| member(&mut fields)).collect::<Option<_>>().ok_or_else(malformed)
}

/// The names of a group.
fn heap_segment(reader: &Reader<'_>, at: u64) -> Result<Vec<u8>, Error> {
    let head = reader.bytes(at, 32)?;
    let mut fields = Fields { bytes: &head };
    let parsed = (|| {
        (fields.take(4)? == b"HEAP").then_some(())?;
        fields.take(4)?;
        let n_bytes = fields.u64()?;
        fields.take(8)?;
        Some((fields.u64()?, n_bytes))
    })();
    match parsed {
        Some((at, n_bytes)) if n_bytes <= HEAP_LIMIT => reader.bytes(at, n_bytes),
        _ => Err(reader.malformed(at, "no heap", format!("a heap of at most {HEAP_LIMIT} bytes"))),
    }
}
