//! The boxes of a chunked dataset: a tree of places.

use std::collections::HashSet;

use super::Reader;
use crate::{
    Error,
    checkpoint::{Chunk, Element, product},
    error::excerpt,
    fields::Fields,
};

const CHUNK_LIMIT: u64 = 1 << 18;

/// Every box that the shape needs, each once.
pub(super) fn read(
    reader: &mut Reader<'_>,
    tree: u64,
    shape: &[usize],
    chunk_shape: &[usize],
    element: Element,
    path: &str,
) -> Result<Vec<Chunk>, Error> {
    let file = reader.file.path();
    let wrong = |found: String| {
        let found = format!("{found} of {}", excerpt(path));
        Error::malformed(file, tree, found, format!("boxes of {chunk_shape:?} that fill {shape:?}"))
    };
    if chunk_shape.len() != shape.len() || chunk_shape.contains(&0) {
        return Err(wrong("other axes".to_owned()));
    }
    let counts: Vec<usize> = shape.iter().zip(chunk_shape).map(|(n, chunk)| n.div_ceil(*chunk)).collect();
    let expected = product(&counts).filter(|n| *n <= CHUNK_LIMIT).ok_or_else(|| wrong("too many boxes".to_owned()))?;
    let n_bytes = product(chunk_shape).and_then(|n| n.checked_mul(element.bytes()));
    let n_bytes = n_bytes.ok_or_else(|| wrong("absurd boxes".to_owned()))?;
    let (mut chunks, mut seen, mut waiting) = (Vec::new(), HashSet::new(), vec![tree]);
    while let Some(at) = waiting.pop() {
        reader.visit(at)?;
        let (level, entries) =
            node(reader, at, shape.len()).transpose().unwrap_or_else(|| Err(wrong("no node".to_owned())))?;
        for (key, address) in entries {
            if level > 0 {
                waiting.push(address);
                continue;
            }
            let fits = key.n_bytes == n_bytes && key.mask == 0;
            let aligned = key.at.iter().zip(chunk_shape.iter().zip(shape));
            let is_inside = aligned.into_iter().all(|(at, (chunk, n))| at % (*chunk as u64) == 0 && *at < *n as u64);
            if !fits || !is_inside || !seen.insert(key.at.clone()) || chunks.len() as u64 >= expected {
                return Err(wrong(format!("a box of {} bytes at {:?}", key.n_bytes, key.at)));
            }
            chunks.push(Chunk { at: key.at, offset: address });
        }
    }
    if chunks.len() as u64 != expected {
        return Err(wrong(format!("{} boxes instead of {expected}", chunks.len())));
    }
    Ok(chunks)
}

struct Key {
    n_bytes: u64,
    mask: u32,
    at: Vec<u64>,
}

type Node = (u8, Vec<(Key, u64)>);

/// Level and entries of a node; `None`: it is none.
fn node(reader: &Reader<'_>, at: u64, rank: usize) -> Result<Option<Node>, Error> {
    let head = reader.bytes(at, 8)?;
    let mut fields = Fields { bytes: &head };
    let parsed = (|| {
        (fields.take(4)? == b"TREE" && fields.u8()? == 1).then_some(())?;
        Some((fields.u8()?, fields.u16()?))
    })();
    let Some((level, n)) = parsed else { return Ok(None) };
    let entry_bytes = (rank as u64).saturating_add(1).saturating_mul(8).saturating_add(16);
    let bytes = reader.bytes(at.saturating_add(24), entry_bytes.saturating_mul(n.into()))?;
    let mut fields = Fields { bytes: &bytes };
    let entry = |fields: &mut Fields<'_>| {
        let (n_bytes, mask) = (fields.u32()?, fields.u32()?);
        let at = (0..rank).map(|_| fields.u64()).collect::<Option<_>>()?;
        fields.u64()?; // within a number
        Some((Key { n_bytes: n_bytes.into(), mask, at }, fields.u64()?))
    };
    Ok((0..n).map(|_| entry(&mut fields)).collect::<Option<_>>().map(|entries| (level, entries)))
}
