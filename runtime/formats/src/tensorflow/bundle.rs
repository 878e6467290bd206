//! A checkpoint of TensorFlow: a sorted table from names to places, and files of numbers.
//!
//! Version 1 names the variables in the table. Version 2 numbers them there, and has their names in a graph of
//! objects that is one more entry.

use std::collections::HashMap;

use crate::{
    Error,
    checkpoint::{Element, Storage, TENSORS, Tensor, row_major},
    error::excerpt,
    fields::Fields,
    file::SourceFile,
};

mod proto;
mod table;

use proto::{Value, fields};

const GRAPH: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";
/// End of the keys of variables in version 2.
const VARIABLE: &str = "/.ATTRIBUTES/VARIABLE_VALUE";
const GRAPH_LIMIT: u64 = 64 << 20;
const SHARD_LIMIT: u64 = 1 << 12;

/// The tensors under the names of the table.
pub(super) struct Bundle {
    pub(super) tensors: Vec<Tensor>,
    /// Version 2: full names of variables by their names in the table.
    pub(super) full_names: Option<HashMap<String, String>>,
}

#[derive(Default)]
struct Entry {
    data_type: u64,
    shape: Vec<usize>,
    shard: u64,
    offset: u64,
    n_bytes: u64,
    checksum: u32,
    is_sliced: bool,
}

/// Names of the files of data beside a table, in order.
pub(crate) fn data_names(table: &SourceFile, stem: &str) -> Result<Vec<String>, Error> {
    let n = header(table, &table::entries(table)?)?;
    Ok((0..n).map(|nth| format!("{stem}.data-{nth:05}-of-{n:05}")).collect())
}

/// `data` are the files that [`data_names`] names; the first is file `nth` of the checkpoint.
pub(super) fn read(table: &SourceFile, data: &[SourceFile], nth: usize) -> Result<Bundle, Error> {
    let entries = table::entries(table)?;
    header(table, &entries)?;
    let mut bundle = Bundle { tensors: Vec::new(), full_names: None };
    for (name, value) in &entries {
        if name.is_empty() {
            continue;
        }
        let malformed = |found: &str, expected: &str| {
            Error::malformed(table.path(), 0, format!("{found} of {}", excerpt(name)), expected)
        };
        let entry = entry(value).ok_or_else(|| malformed("a broken entry", "an entry of a checkpoint"))?;
        if name == GRAPH {
            let text = string(&entry, data).ok_or_else(|| malformed("no text", "a graph of objects"))?;
            let names = graph(&text).ok_or_else(|| malformed("a broken graph", "a graph of objects"))?;
            bundle.full_names = Some(names);
            continue;
        }
        let is_slot = name.contains("/.OPTIMIZER_SLOT/") || name.starts_with("optimizer/");
        let Some(element) = element(entry.data_type).filter(|_| !is_slot) else {
            if is_slot || entry.data_type == proto::STRING {
                continue;
            }
            let found = format!("{} of type {}", excerpt(name), entry.data_type);
            return Err(Error::unsupported(table.path(), found, "real numbers and truth values of 8 to 64 bits"));
        };
        if entry.is_sliced {
            let found = format!("the partitioned variable {}", excerpt(name));
            return Err(Error::unsupported(table.path(), found, "variables in one piece"));
        }
        let file = usize::try_from(entry.shard).ok().filter(|shard| *shard < data.len());
        let Some(file) = file else { return Err(malformed("no file of data", "one that the table counts")) };
        let strides = row_major(&entry.shape).ok_or_else(|| malformed("an absurd shape", "a shape"))?;
        bundle.tensors.push(Tensor {
            name: name.clone(),
            element,
            shape: entry.shape,
            file: nth.saturating_add(file),
            storage: Storage::Span { offset: entry.offset, n_bytes: entry.n_bytes },
            start: 0,
            strides,
            checksum: Some(entry.checksum),
        });
    }
    Ok(bundle)
}

/// The entry without a name: number of files, byte order.
fn header(table: &SourceFile, entries: &[(String, Vec<u8>)]) -> Result<u64, Error> {
    let value = entries.iter().find(|(name, _)| name.is_empty()).map(|(_, value)| value);
    let malformed = || Error::malformed(table.path(), 0, "no header", "a table of a checkpoint");
    let (mut n, mut is_big) = (0, false);
    for field in fields(value.ok_or_else(malformed)?) {
        match field.ok_or_else(malformed)? {
            (1, Value::Number(shards)) => n = shards,
            (2, Value::Number(order)) => is_big = order != 0,
            _ => {}
        }
    }
    if is_big {
        return Err(Error::unsupported(table.path(), "big-endian numbers", "little-endian checkpoints"));
    }
    if !(1..=SHARD_LIMIT).contains(&n) {
        return Err(Error::malformed(table.path(), 0, format!("{n} files of data"), format!("1 to {SHARD_LIMIT}")));
    }
    Ok(n)
}

fn entry(value: &[u8]) -> Option<Entry> {
    let mut entry = Entry::default();
    for field in fields(value) {
        match field? {
            (1, Value::Number(n)) => entry.data_type = n,
            (2, Value::Bytes(bytes)) => entry.shape = shape(bytes)?,
            (3, Value::Number(n)) => entry.shard = n,
            (4, Value::Number(n)) => entry.offset = n,
            (5, Value::Number(n)) => entry.n_bytes = n,
            (6, Value::Fixed32(n)) => entry.checksum = n,
            (7, _) => entry.is_sliced = true,
            _ => {}
        }
    }
    Some(entry)
}

fn shape(value: &[u8]) -> Option<Vec<usize>> {
    let mut shape = Vec::new();
    for field in fields(value) {
        if let (2, Value::Bytes(dimension)) = field? {
            let mut size = 0;
            for field in fields(dimension) {
                if let (1, Value::Number(n)) = field? {
                    size = usize::try_from(n).ok()?;
                }
            }
            shape.push(size);
        }
    }
    Some(shape)
}

const fn element(data_type: u64) -> Option<Element> {
    Some(match data_type {
        1 => Element::F32,
        2 => Element::F64,
        3 => Element::I32,
        4 => Element::U8,
        5 => Element::I16,
        6 => Element::I8,
        9 => Element::I64,
        10 => Element::Bool,
        14 => Element::BF16,
        17 => Element::U16,
        19 => Element::F16,
        22 => Element::U32,
        23 => Element::U64,
        _ => return None,
    })
}

/// The only string of an entry: its length, a checksum of the length, the text.
fn string(entry: &Entry, data: &[SourceFile]) -> Option<Vec<u8>> {
    let file = data.get(usize::try_from(entry.shard).ok()?)?;
    let bytes = file.bytes_at(entry.offset, Some(entry.n_bytes).filter(|n| *n <= GRAPH_LIMIT)?).ok()?;
    let mut rest = Fields { bytes: &bytes };
    let n = rest.varint()?;
    rest.take(4)?;
    rest.take_u64(n).map(<[u8]>::to_vec)
}

/// Full names by checkpoint keys, out of a `TrackableObjectGraph`.
fn graph(text: &[u8]) -> Option<HashMap<String, String>> {
    let mut names = HashMap::new();
    for node in fields(text) {
        let (1, Value::Bytes(node)) = node? else { continue };
        for attribute in fields(node) {
            let (2, Value::Bytes(attribute)) = attribute? else { continue };
            let (mut full_name, mut key) = ("", "");
            for field in fields(attribute) {
                match field? {
                    (2, Value::Bytes(text)) => full_name = str::from_utf8(text).ok()?,
                    (3, Value::Bytes(text)) => key = str::from_utf8(text).ok()?,
                    _ => {}
                }
            }
            if names.len() >= TENSORS.saturating_mul(4) {
                return None;
            }
            let full_name = if full_name.is_empty() { key.trim_end_matches(VARIABLE) } else { full_name };
            names.insert(key.to_owned(), full_name.to_owned());
        }
    }
    Some(names)
}

#[cfg(test)]
pub(super) fn try_parts(bytes: &[u8]) {
    drop(graph(bytes));
    drop(entry(bytes));
    for (key, value) in table::parse(bytes, 1000).unwrap_or_default() {
        drop((key, entry(&value)));
    }
}
