//! What the messages of a dataset say: shape, type of its numbers, where they are.

use super::{NOWHERE, Reader, chunks, header::Message};
use crate::{
    Error,
    checkpoint::{DIMENSIONS, Element, Storage, Tensor, row_major},
    error::excerpt,
    fields::Fields,
};

const DATASPACE: u16 = 0x01;
const DATATYPE: u16 = 0x03;
const LAYOUT: u16 = 0x08;
const FILTERS: u16 = 0x0b;

/// The dataset that these messages describe; `None`: a group, or something that holds no numbers.
pub(super) fn dataset(
    reader: &mut Reader<'_>,
    messages: &[Message],
    path: &str,
    at: u64,
    nth: usize,
) -> Result<Option<Tensor>, Error> {
    let of = |kind: u16| messages.iter().find(|message| message.kind == kind);
    let (Some(space), Some(number), Some(layout)) = (of(DATASPACE), of(DATATYPE), of(LAYOUT)) else { return Ok(None) };
    let Some(element) =
        element(&number.bytes).map_err(|what| reader.unsupported(format!("{} of {what}", excerpt(path))))?
    else {
        return Ok(None);
    };
    let malformed = |at: u64, found: &str| {
        Error::malformed(reader.file.path(), at, format!("{found} of {}", excerpt(path)), "the parts of a dataset")
    };
    if of(FILTERS).is_some_and(|filters| filters.bytes.get(1).is_none_or(|n| *n > 0)) {
        return Err(reader.unsupported(format!("the compressed dataset {}", excerpt(path))));
    }
    let Some(shape) = dimensions(&space.bytes) else { return Err(malformed(space.at, "a broken shape")) };
    if shape.contains(&0) {
        return Ok(None);
    }
    let Some(strides) = row_major(&shape) else { return Err(malformed(space.at, "an absurd shape")) };
    let place = place(&layout.bytes, layout.at).ok_or_else(|| malformed(layout.at, "a broken layout"))?;
    let storage = match place {
        Place::Span { offset: NOWHERE, .. } => return Err(malformed(at, "no numbers")),
        Place::Span { offset, n_bytes } => Storage::Span { offset, n_bytes },
        Place::Chunked { tree, chunk_shape } => {
            let chunks = chunks::read(reader, tree, &shape, &chunk_shape, element, path)?;
            Storage::Chunks { shape: shape.clone(), chunk_shape, chunks }
        }
        Place::Other(what) => return Err(reader.unsupported(format!("{what} of {}", excerpt(path)))),
    };
    let (name, file) = (path.to_owned(), nth);
    Ok(Some(Tensor { name, element, shape, file, storage, start: 0, strides, checksum: None }))
}

enum Place {
    Span { offset: u64, n_bytes: u64 },
    Chunked { tree: u64, chunk_shape: Vec<usize> },
    Other(String),
}

/// `Ok(None)`: text, which no weights are.
fn element(message: &[u8]) -> Result<Option<Element>, String> {
    let parsed = (|| {
        let mut fields = Fields { bytes: message };
        let (class, flags) = (fields.u8()? & 0x0f, fields.u8()?);
        fields.take(2)?;
        Some((class, flags, fields.u32()?, fields))
    })();
    let Some((class, flags, size, mut rest)) = parsed else { return Err("a broken type".to_owned()) };
    let is_big = flags & 1 != 0 || (class == 1 && flags & 0x40 != 0);
    let is_signed = flags & 8 != 0;
    match (class, size) {
        (3 | 9, _) => Ok(None),
        (0 | 1, 2..) if is_big => Err("big-endian numbers".to_owned()),
        (0, 1) => Ok(Some(if is_signed { Element::I8 } else { Element::U8 })),
        (0, 2) => Ok(Some(if is_signed { Element::I16 } else { Element::U16 })),
        (0, 4) => Ok(Some(if is_signed { Element::I32 } else { Element::U32 })),
        (0, 8) => Ok(Some(if is_signed { Element::I64 } else { Element::U64 })),
        // Offset, precision, place of the exponent, bits of the exponent.
        (1, 2) => match rest.take(6).and_then(<[u8]>::last) {
            Some(5) => Ok(Some(Element::F16)),
            Some(8) => Ok(Some(Element::BF16)),
            _ => Err("floats of an unusual kind".to_owned()),
        },
        (1, 4) => Ok(Some(Element::F32)),
        (1, 8) => Ok(Some(Element::F64)),
        // h5py's truth values: an enumeration over bytes.
        (8, 1) => Ok(Some(Element::Bool)),
        _ => Err(format!("numbers of class {class} and {size} bytes")),
    }
}

fn dimensions(message: &[u8]) -> Option<Vec<usize>> {
    let mut fields = Fields { bytes: message };
    let (version, rank) = (fields.u8()?, fields.u8()?);
    match version {
        1 => fields.take(6)?,
        2 => fields.take(2)?,
        _ => return None,
    };
    let rank = usize::from(rank);
    if rank > DIMENSIONS {
        return None;
    }
    (0..rank).map(|_| usize::try_from(fields.u64()?).ok()).collect()
}

fn place(message: &[u8], at: u64) -> Option<Place> {
    let mut fields = Fields { bytes: message };
    let (version, class) = (fields.u8()?, fields.u8()?);
    Some(match (version, class) {
        (3 | 4, 0) => {
            let n_bytes = fields.u16()?;
            fields.take(n_bytes.into())?;
            Place::Span { offset: at.checked_add(4)?, n_bytes: n_bytes.into() }
        }
        (3 | 4, 1) => Place::Span { offset: fields.u64()?, n_bytes: fields.u64()? },
        (3, 2) => {
            // The last one is the size of a number.
            let n = usize::from(fields.u8()?.checked_sub(1)?);
            let tree = fields.u64()?;
            if n > DIMENSIONS {
                return None;
            }
            let chunk_shape = (0..n).map(|_| usize::try_from(fields.u32()?).ok()).collect::<Option<_>>()?;
            Place::Chunked { tree, chunk_shape }
        }
        (version, class) => Place::Other(format!("the layout of version {version} and class {class}")),
    })
}
