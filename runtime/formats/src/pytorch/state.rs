//! The tensors of a checkpoint's dictionary.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
};

use super::{
    Located,
    pickle::{Id, Loaded, Value, View},
};
use crate::{
    Error,
    checkpoint::{Storage, Tensor},
    error::excerpt,
};

/// Under these names training programs keep the weights beside what else they save.
const WRAPPERS: [&str; 4] = ["state_dict", "model_state_dict", "model", "module"];

/// `locate` says where a storage's bytes are.
pub(super) fn tensors(
    loaded: &Loaded,
    file: &Path,
    nth: usize,
    mut locate: impl FnMut(&str) -> Result<Option<Located>, Error>,
) -> Result<Vec<Tensor>, Error> {
    let Some(root) = dictionary(loaded, loaded.root()) else {
        return Err(Error::unsupported(file, "a pickle of something else", "a dictionary of tensors (a state_dict)"));
    };
    let inner = if root.iter().any(|(_, value)| matches!(loaded.get(*value), Value::Tensor(_))) {
        root
    } else {
        let wrapped =
            |name: &&str| root.iter().find(|(key, _)| text(loaded, *key) == Some(name)).map(|(_, value)| *value);
        WRAPPERS.iter().find_map(|name| dictionary(loaded, wrapped(name)?)).unwrap_or(root)
    };
    let mut places = HashMap::new();
    let (mut order, mut latest) = (Vec::new(), HashMap::new());
    // As in Python, the last value of a key counts, at the place of the first.
    for (key, value) in inner {
        if let (Some(name), Value::Tensor(view)) = (text(loaded, *key), loaded.get(*value))
            && latest.insert(name, view).is_none()
        {
            order.push(name);
        }
    }
    let named = order.into_iter().filter_map(|name| Some((name, *latest.get(name)?)));
    named
        .map(|(name, view)| {
            let known = match places.entry(&view.storage.key) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(slot) => *slot.insert(locate(&view.storage.key)?),
            };
            let Some(located) = known else {
                let found = format!("no storage {} of {}", excerpt(&view.storage.key), excerpt(name));
                return Err(Error::malformed(file, view.at, found, "all storages (the file is incomplete)"));
            };
            tensor(name, view, located, file, nth)
        })
        .collect()
}

fn tensor(name: &str, view: &View, located: Located, file: &Path, nth: usize) -> Result<Tensor, Error> {
    // A storage of bytes counts bytes; all others count their own elements.
    let width = if view.storage.element.is_none() { 1 } else { view.element.bytes() };
    let first = view.storage.first.checked_mul(width);
    let n_bytes = view.storage.n_elements.checked_mul(width);
    let end = first.zip(n_bytes).and_then(|(first, n_bytes)| first.checked_add(n_bytes));
    let (Some(first), Some(n_bytes), true) = (first, n_bytes, end.is_some_and(|end| end <= located.n_bytes)) else {
        let found = format!("{} bytes in storage {}", located.n_bytes, excerpt(&view.storage.key));
        let expected = format!("{} elements of {} for {}", view.storage.n_elements, view.element, excerpt(name));
        return Err(Error::malformed(file, located.offset, found, expected));
    };
    Ok(Tensor {
        name: name.to_owned(),
        element: view.element,
        shape: view.shape.clone(),
        file: nth,
        storage: Storage::Span { offset: located.offset.saturating_add(first), n_bytes },
        start: view.start,
        strides: view.strides.clone(),
        checksum: None,
    })
}

fn dictionary(loaded: &Loaded, id: Id) -> Option<&[(Id, Id)]> {
    match loaded.get(id) {
        Value::Dict(pairs) => Some(pairs),
        _ => None,
    }
}

fn text(loaded: &Loaded, id: Id) -> Option<&str> {
    match loaded.get(id) {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
