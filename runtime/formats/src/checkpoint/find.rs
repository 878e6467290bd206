//! Which files of a directory are a checkpoint.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Checkpoint, TENSORS, check_names};
use crate::{
    Access, Error, Format,
    error::excerpt,
    file::{SourceFile, read_small},
    pytorch, tensorflow,
};

const INDEX_LIMIT: u64 = 16 << 20;
const FILE_LIMIT: usize = 10_000;
const PYTORCH_INDEX: &str = "pytorch_model.bin.index.json";
const KERAS_INDEX: &str = "tf_model.h5.index.json";
const SAVED_MODEL: &str = "saved_model.pb";
const VARIABLES: &str = "variables/variables.index";
/// Endings of PyTorch's files; the first is the one that the hub uses.
const PYTORCH: [&str; 3] = ["bin", "pt", "pth"];
/// State of a training that lies beside the weights.
const TRAINING: [&str; 5] = ["training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt"];

/// Weights of a training framework in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `PyTorch` or `TensorFlow`.
    pub format: Format,
    kind: Kind,
    /// Names of the weight files, in order.
    weights: Vec<String>,
    /// Files that are needed to read the weights and for nothing else.
    tables: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    PyTorch,
    Keras,
    /// The first of the tables says what is in the weights.
    Bundle,
}

impl Found {
    /// Looks for a checkpoint among the files of a directory; `None`: there is none.
    pub fn look(access: &dyn Access, directory: &Path) -> Result<Option<Self>, Error> {
        let names = names(directory)?;
        for (kind, format, index, usual) in [
            (Kind::PyTorch, Format::PyTorch, PYTORCH_INDEX, "pytorch_model.bin"),
            (Kind::Keras, Format::TensorFlow, KERAS_INDEX, "tf_model.h5"),
        ] {
            let table = directory.join(index);
            if let Some(json) = read_index(access, &table)? {
                let (weights, tables) = (indexed(&json, &table)?, vec![index.to_owned()]);
                return Ok(Some(Self { format, kind, weights, tables }));
            }
            let candidates = names.iter().filter(|name| match kind {
                Kind::PyTorch => is_pytorch(name),
                _ => ending(name) == "h5",
            });
            let weights = one_or_shards(candidates.cloned().collect(), usual, index, directory)?;
            if !weights.is_empty() {
                return Ok(Some(Self { format, kind, weights, tables: Vec::new() }));
            }
        }
        if names.contains(SAVED_MODEL) && directory.join(VARIABLES).is_file() {
            return bundle(access, directory, VARIABLES, &[SAVED_MODEL]).map(Some);
        }
        let tables: Vec<_> = names.iter().filter(|name| ending(name) == "index").collect();
        match tables.as_slice() {
            [] => Ok(None),
            [one] => bundle(access, directory, one, &[]).map(Some),
            several => Err(Error::NotOneModel {
                path: directory.to_owned(),
                found: format!("{} tables of TensorFlow checkpoints", several.len()),
                expected: "one; list the files to fetch".to_owned(),
            }),
        }
    }

    /// Paths below the directory of all files that conversion replaces.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.weights.iter().chain(&self.tables).map(String::as_str)
    }

    /// Reads the heads of all files.
    pub fn open(&self, access: &dyn Access, directory: &Path) -> Result<Checkpoint, Error> {
        let files = self.weights.iter().map(|name| SourceFile::open_with(access, &directory.join(name)));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let mut tensors = Vec::new();
        if let (Kind::Bundle, Some(table)) = (self.kind, self.tables.first()) {
            tensors = tensorflow::read_bundle(&SourceFile::open_with(access, &directory.join(table))?, &files, 0)?;
        } else {
            for (nth, (file, name)) in files.iter().zip(&self.weights).enumerate() {
                tensors.extend(match self.kind {
                    Kind::Keras => tensorflow::read_keras(file, nth, name.contains("-of-"))?,
                    _ => pytorch::read(file, nth)?,
                });
                if tensors.len() > TENSORS {
                    let found = format!("{} tensors", tensors.len());
                    return Err(Error::malformed(file.path(), 0, found, format!("at most {TENSORS}")));
                }
            }
        }
        check_names(&tensors, directory)?;
        Ok(Checkpoint { files, tensors })
    }
}

/// A checkpoint of TensorFlow by the path of its table below the directory.
fn bundle(access: &dyn Access, directory: &Path, table: &str, others: &[&str]) -> Result<Found, Error> {
    let stem = table.strip_suffix(".index").unwrap_or(table);
    let weights = tensorflow::data_names(&SourceFile::open_with(access, &directory.join(table))?, stem)?;
    let tables = std::iter::once(&table).chain(others).map(|name| (*name).to_owned()).collect();
    Ok(Found { format: Format::TensorFlow, kind: Kind::Bundle, weights, tables })
}

/// The usual file, the only one, or nothing but shards.
fn one_or_shards(files: Vec<String>, usual: &str, index: &str, directory: &Path) -> Result<Vec<String>, Error> {
    if files.iter().any(|name| name == usual) {
        return Ok(vec![usual.to_owned()]);
    }
    let n_shards = files.iter().filter(|name| name.contains("-of-")).count();
    if files.len() <= 1 || files.len() == n_shards {
        return Ok(files);
    }
    Err(Error::NotOneModel {
        path: directory.to_owned(),
        found: format!("{} weight files ({})", files.len(), excerpt(&files.join(", "))),
        expected: format!("one, or shards with {index}; list the files to fetch"),
    })
}

fn ending(name: &str) -> &str {
    Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

fn is_pytorch(name: &str) -> bool {
    PYTORCH.contains(&ending(name)) && !TRAINING.contains(&name) && !name.starts_with("rng_state")
}

fn names(directory: &Path) -> Result<BTreeSet<String>, Error> {
    let failed = |source| Error::read(directory, 0, source);
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory).map_err(failed)?.take(FILE_LIMIT) {
        let entry = entry.map_err(failed)?;
        // Not the entry's own kind: a cache has links to its files.
        if std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// A table from tensors to shards.
pub(crate) fn read_index(access: &dyn Access, path: &Path) -> Result<Option<Value>, Error> {
    let Some(bytes) = read_small(access, path, INDEX_LIMIT)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::malformed(path, 0, format!("no JSON: {error}"), "JSON"))
}

/// The shards that a table names, sorted.
pub(crate) fn indexed(index: &Value, file: &Path) -> Result<Vec<String>, Error> {
    let names: BTreeSet<&str> = index
        .get("weight_map")
        .and_then(Value::as_object)
        .map(|map| map.values().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if names.is_empty() {
        return Err(Error::malformed(file, 0, "no weight_map", "a map from tensors to files"));
    }
    let plain = |name: &str| {
        // A name with a separator could leave the directory.
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::malformed(file, 0, format!("file {}", excerpt(name)), "a plain name"));
        }
        Ok(name.to_owned())
    };
    names.into_iter().map(plain).collect()
}

/// Paths of the shards below a directory.
pub(crate) fn shard_paths(directory: &Path, index: &Value, file: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(indexed(index, file)?.into_iter().map(|name| directory.join(name)).collect())
}
