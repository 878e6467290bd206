//! Which files of a directory are a checkpoint.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Checkpoint, TENSORS, check_names};
use crate::{
    Error, Format,
    error::excerpt,
    file::{SourceFile, read_small},
    pytorch,
};

const INDEX_LIMIT: u64 = 16 << 20;
const FILE_LIMIT: usize = 10_000;
const PYTORCH_INDEX: &str = "pytorch_model.bin.index.json";
/// Endings of PyTorch's files; the first is the one that the hub uses.
const PYTORCH: [&str; 3] = ["bin", "pt", "pth"];
/// State of a training that lies beside the weights.
const TRAINING: [&str; 5] = ["training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt"];

/// Weights of a training framework in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `PyTorch` or `TensorFlow`.
    pub format: Format,
    /// Names of the weight files, in order.
    weights: Vec<String>,
    /// Files that are needed to read the weights and for nothing else.
    tables: Vec<String>,
}

impl Found {
    /// Looks for a checkpoint among the files of a directory; `None`: there is none.
    pub fn look(directory: &Path) -> Result<Option<Self>, Error> {
        let names = names(directory)?;
        if let Some(index) = read_index(&directory.join(PYTORCH_INDEX))? {
            let weights = indexed(&index, &directory.join(PYTORCH_INDEX))?;
            return Ok(Some(Self { format: Format::PyTorch, weights, tables: vec![PYTORCH_INDEX.to_owned()] }));
        }
        let weights: Vec<String> = names.iter().filter(|name| is_pytorch(name)).cloned().collect();
        let weights = match weights.iter().find(|name| *name == "pytorch_model.bin") {
            Some(usual) => vec![usual.clone()],
            None => weights,
        };
        let shards = weights.iter().filter(|name| name.contains("-of-")).count();
        match weights.len() {
            0 => Ok(None),
            n if n == 1 || n == shards => Ok(Some(Self { format: Format::PyTorch, weights, tables: Vec::new() })),
            n => Err(Error::NotOneModel {
                path: directory.to_owned(),
                found: format!("{n} PyTorch files ({})", excerpt(&weights.join(", "))),
                expected: format!("one, or shards with {PYTORCH_INDEX}; list the files to fetch"),
            }),
        }
    }

    /// Paths below the directory of all files that conversion replaces.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.weights.iter().chain(&self.tables).map(String::as_str)
    }

    /// Reads the heads of all files.
    pub fn open(&self, directory: &Path) -> Result<Checkpoint, Error> {
        let (mut files, mut tensors) = (Vec::new(), Vec::new());
        for name in &self.weights {
            let file = SourceFile::open(&directory.join(name))?;
            tensors.extend(pytorch::read(&file, files.len())?);
            if tensors.len() > TENSORS {
                let found = format!("{} tensors", tensors.len());
                return Err(Error::malformed(file.path(), 0, found, format!("at most {TENSORS}")));
            }
            files.push(file);
        }
        check_names(&tensors, directory)?;
        Ok(Checkpoint { files, tensors })
    }
}

fn is_pytorch(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    PYTORCH.contains(&ending) && !TRAINING.contains(&name) && !name.starts_with("rng_state")
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
pub(crate) fn read_index(path: &Path) -> Result<Option<Value>, Error> {
    let Some(bytes) = read_small(path, INDEX_LIMIT)? else { return Ok(None) };
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
