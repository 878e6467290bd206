//! Checkpoints from before PyTorch 1.6.
//!
//! ```text
//! pickles: magic number, version, facts about the machine, dictionary, keys of the storages
//! then for each key: u64 number of elements, the elements
//! ```

use std::{collections::HashMap, path::Path};

use super::{
    Located, big_endian,
    pickle::{self, Input, Loaded, Value},
    state,
};
use crate::{Error, checkpoint::Element, checkpoint::Tensor, error::excerpt, file::SourceFile};

/// 0x1950a86a20f9469cfc6c, little-endian as a pickle holds it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;
const STORAGE_LIMIT: usize = 1 << 16;

pub(super) fn tensors(file: &SourceFile, nth: usize) -> Result<Vec<Tensor>, Error> {
    let mut input = Input::new(file, 0, file.length());
    let magic = match file.bytes_at(0, file.length().min(1))?.first() {
        Some(0x80) => Some(pickle::load(&mut input)?),
        _ => None,
    };
    if !magic.is_some_and(|magic| matches!(magic.get(magic.root()), Value::Long(bytes) if *bytes == MAGIC)) {
        let expected = "a checkpoint of PyTorch (an HTML page, a pointer file or a bare pickle is none)";
        return Err(Error::malformed(file.path(), 0, "another kind of file", expected));
    }
    let version = pickle::load(&mut input)?;
    if !matches!(version.get(version.root()), Value::Int(VERSION)) {
        return Err(Error::unsupported(file.path(), "another version of the legacy form", "version 1001"));
    }
    check_machine(&pickle::load(&mut input)?, file.path())?;
    let dictionary = pickle::load(&mut input)?;
    let at = input.position();
    let keys = keys(&pickle::load(&mut input)?, file.path(), at)?;
    let mut widths = HashMap::new();
    // The table of storages has elements, not bytes, so each one's width must be known to find the next.
    dictionary.storages().for_each(|(key, element)| {
        widths.entry(key.to_owned()).or_insert(element);
    });
    let places = places(file, input.position(), keys, &widths)?;
    state::tensors(&dictionary, file.path(), nth, |key| Ok(places.get(key).copied()))
}

fn check_machine(facts: &Loaded, file: &Path) -> Result<(), Error> {
    let Value::Dict(pairs) = facts.get(facts.root()) else { return Ok(()) };
    let is_big = pairs.iter().any(|(key, value)| {
        matches!(facts.get(*key), Value::Text(key) if key == "little_endian")
            && matches!(facts.get(*value), Value::Bool(false))
    });
    if is_big { Err(big_endian(file)) } else { Ok(()) }
}

fn keys(list: &Loaded, file: &Path, at: u64) -> Result<Vec<String>, Error> {
    let wrong = |found: &str| Error::malformed(file, at, found, format!("at most {STORAGE_LIMIT} names of storages"));
    let Value::List(items) = list.get(list.root()) else { return Err(wrong("no list")) };
    if items.len() > STORAGE_LIMIT {
        return Err(wrong(&format!("{} names", items.len())));
    }
    let key = |item: &u32| match list.get(*item) {
        Value::Text(key) => Ok(key.clone()),
        Value::Int(key) => Ok(key.to_string()),
        _ => Err(wrong("another value")),
    };
    items.iter().map(key).collect()
}

fn places(
    file: &SourceFile,
    mut at: u64,
    keys: Vec<String>,
    widths: &HashMap<String, Element>,
) -> Result<HashMap<String, Located>, Error> {
    let mut places = HashMap::new();
    for key in keys {
        let Some(element) = widths.get(&key) else {
            let found = format!("storage {} that no tensor has", excerpt(&key));
            return Err(Error::malformed(file.path(), at, found, "storages of tensors"));
        };
        let n = u64::from_le_bytes(file.bytes_at(at, 8)?.try_into().unwrap_or_default());
        let offset = at.saturating_add(8);
        let end = n.checked_mul(element.bytes()).and_then(|n_bytes| offset.checked_add(n_bytes));
        let Some(end) = end.filter(|end| *end <= file.length()) else {
            let found = format!("{n} elements of {element} in a file of {} bytes", file.length());
            return Err(Error::malformed(file.path(), at, found, "storages within it (the file is cut off)"));
        };
        places.insert(key, Located { offset, n_bytes: end - offset });
        at = end;
    }
    Ok(places)
}
