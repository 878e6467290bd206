//! TensorFlow's weights: checkpoints of version 1, variables of a SavedModel, and Keras' HDF5 files.
//!
//! The tensors get the names and the shapes that the same model has in PyTorch ([`names`]), so that what is converted
//! loads like any other checkpoint.

use std::collections::{HashMap, hash_map::Entry};

use crate::{
    Error,
    checkpoint::{Tensor, check_names},
    error::excerpt,
    file::SourceFile,
};

mod bundle;
mod crc32c;
mod hdf5;
mod names;

#[cfg(test)]
mod tests;

pub(crate) use bundle::data_names;
pub(crate) use crc32c::Crc32c;

/// Tensors of a Keras file. A shard's names lack the model's own level, which a whole file has.
pub(crate) fn read_keras(file: &SourceFile, nth: usize, is_shard: bool) -> Result<Vec<Tensor>, Error> {
    let (mut tensors, mut known) = (Vec::new(), HashMap::new());
    for dataset in hdf5::datasets(file, nth)? {
        // A whole file has a group for each layer, and in it the full names of the layer's weights.
        let full =
            if is_shard { Some(dataset.name.as_str()) } else { dataset.name.split_once('/').map(|(_, name)| name) };
        let Some(full) = full else { continue };
        let name = if is_shard { format!("model/{full}") } else { full.to_owned() };
        let Some(tensor) = names::of_keras(&name).map(|name| name.apply(dataset.clone())) else { continue };
        // Layers that share a weight each have a copy of it in a whole file: tied embeddings, for example.
        match known.entry(tensor.name.clone()) {
            Entry::Occupied(shape) if *shape.get() == tensor.shape => {}
            Entry::Occupied(shape) => {
                let found = format!("{} of shapes {:?} and {:?}", excerpt(&tensor.name), shape.get(), tensor.shape);
                return Err(Error::malformed(file.path(), 0, found, "one shape"));
            }
            Entry::Vacant(slot) => {
                slot.insert(tensor.shape.clone());
                tensors.push(tensor);
            }
        }
    }
    finish(tensors, std::slice::from_ref(file), nth, file)
}

/// Tensors of a checkpoint: its table and, behind it, its files of data, the first of which is file `nth`.
pub(crate) fn read_bundle(table: &SourceFile, data: &[SourceFile], nth: usize) -> Result<Vec<Tensor>, Error> {
    let bundle = bundle::read(table, data, nth)?;
    let mut tensors = Vec::new();
    for tensor in bundle.tensors {
        let renamed = match &bundle.full_names {
            None => names::of_version_1(&tensor.name),
            Some(full_names) => full_names.get(&tensor.name).and_then(|name| names::of_keras(name)),
        };
        tensors.extend(renamed.map(|name| name.apply(tensor)));
    }
    finish(tensors, data, nth, table)
}

fn finish(tensors: Vec<Tensor>, data: &[SourceFile], nth: usize, named: &SourceFile) -> Result<Vec<Tensor>, Error> {
    check_names(&tensors, named.path())?;
    for tensor in &tensors {
        if let Some(file) = tensor.file.checked_sub(nth).and_then(|at| data.get(at)) {
            tensor.check(file)?;
        }
    }
    Ok(tensors)
}

/// What lies behind the checksums.
#[cfg(test)]
pub(crate) fn try_parts(bytes: &[u8]) {
    bundle::try_parts(bytes);
}
