//! LoRA adapters as PEFT saves them: `adapter_config.json` and `adapter_model.safetensors` in a directory.
//!
//! Their settings are read for what they mean to the computation: a setting that changes it otherwise than by
//! `y += scale · B (A x)` is refused by its name. Whether the matrices are those of the base says `models`.

mod config;
mod modules;

#[cfg(test)]
pub(crate) mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use alcazar_core::{AdapterModule, AdapterSource, RawTensor, SourceError, WeightSource, WeightType};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Access, Error, Plain,
    error::excerpt,
    file::{SourceFile, read_small},
    gguf::TensorEntry,
    model::locate,
    safetensors,
};

/// The folder of adapters in a model's directory: one folder for each, whose name is the adapter's.
pub const FOLDER: &str = "adapters";
/// Its settings.
pub const CONFIG: &str = "adapter_config.json";
/// Its matrices.
pub const WEIGHTS: &str = "adapter_model.safetensors";
/// Largest rank that is served.
pub const MAX_RANK: usize = 512;
/// Most adapters of one model.
pub const MAX_ADAPTERS: usize = 256;

const CONFIG_LIMIT: u64 = 1 << 20;
const NAME_LIMIT: usize = 96;

/// An opened adapter: its table is parsed and checked, no matrix is read yet.
#[derive(Debug)]
pub struct Adapter {
    facts: AdapterFacts,
    modules: Vec<AdapterModule>,
    file: SourceFile,
    tensors: HashMap<String, TensorEntry>,
}

/// What an adapter says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterFacts {
    /// What requests call it.
    pub name: String,
    /// The model that it was made for, as its publisher calls it; empty when it does not say.
    pub base: String,
    /// The largest rank of its matrices.
    pub rank: usize,
    /// Which matrices of a layer it changes, by the last part of their names.
    pub targets: BTreeSet<String>,
    /// How many matrices of the model it changes.
    pub module_count: usize,
    /// Numbers in its own.
    pub parameter_count: u64,
    /// Bytes of its matrices by the type in which a backend gets them, which knows what memory each takes.
    #[serde(skip)]
    pub served_bytes: BTreeMap<WeightType, u64>,
}

/// The adapters in a model's directory by their names, in their order. None in a model that is one file.
pub fn find(model: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let model = locate(model)?;
    let folder = model.join(FOLDER);
    if !model.is_dir() || !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| Error::read(&folder, 0, source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // What lies beside the folders is nobody's adapter.
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        check_name(&name).map_err(|fault| Error::adapter(&path, fault, "rename the folder"))?;
        found.push((name, path));
        if found.len() > MAX_ADAPTERS {
            return Err(Error::adapter(&folder, format!("more than {MAX_ADAPTERS}"), "serve fewer with one model"));
        }
    }
    found.sort();
    Ok(found)
}

/// Checks what requests are to call an adapter. The error says what is wrong.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts_well && name.len() <= NAME_LIMIT && name.bytes().all(is_fit) {
        return Ok(());
    }
    let expected = format!("up to {NAME_LIMIT} letters, digits, dots, underscores and dashes, a letter or digit first");
    Err(format!("the name {}, expected {expected}", excerpt(name)))
}

impl Adapter {
    /// Opens the adapter in a directory under a name.
    pub fn open(name: &str, path: &Path) -> Result<Self, Error> {
        Self::open_with(&Plain, name, path)
    }

    /// [`Self::open`] of files that are opened otherwise.
    pub fn open_with(access: &dyn Access, name: &str, path: &Path) -> Result<Self, Error> {
        let config = path.join(CONFIG);
        let Some(bytes) = read_small(access, &config, CONFIG_LIMIT)? else {
            return Err(Error::adapter(path, format!("no {CONFIG}"), format!("put it beside {WEIGHTS}")));
        };
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::malformed(&config, 0, format!("no JSON: {error}"), "JSON"))?;
        let settings = config::read(&json, path, &config)?;
        let file = open_weights(access, path)?;
        let tensors = safetensors::read_header(&file)?;
        let modules = modules::read(&tensors, &settings, path, &file)?;
        let facts = facts(name, &json, &modules, &tensors);
        Ok(Self { facts, modules, file, tensors })
    }

    /// What it says of itself.
    pub const fn facts(&self) -> &AdapterFacts {
        &self.facts
    }
}

fn open_weights(access: &dyn Access, path: &Path) -> Result<SourceFile, Error> {
    let weights = path.join(WEIGHTS);
    if weights.exists() {
        return SourceFile::open_with(access, &weights);
    }
    if path.join("adapter_model.bin").exists() {
        let remedy = format!("save it as {WEIGHTS}: load it with PEFT and call save_pretrained");
        return Err(Error::adapter(path, "adapter_model.bin, a pickle", remedy));
    }
    Err(Error::adapter(path, format!("no {WEIGHTS}"), "put it beside adapter_config.json"))
}

fn facts(name: &str, json: &Value, modules: &[AdapterModule], tensors: &HashMap<String, TensorEntry>) -> AdapterFacts {
    let mut served_bytes: BTreeMap<WeightType, u64> = BTreeMap::new();
    for tensor in tensors.values() {
        let bytes = served_bytes.entry(tensor.weight_type).or_default();
        *bytes = bytes.saturating_add(tensor.n_bytes);
    }
    let last = |module: &AdapterModule| module.module.rsplit('.').next().unwrap_or_default().to_owned();
    let base = json.get("base_model_name_or_path").and_then(Value::as_str).unwrap_or_default();
    AdapterFacts {
        name: name.to_owned(),
        base: base.chars().filter(|char| !char.is_control()).take(NAME_LIMIT).collect(),
        rank: modules.iter().map(|module| module.rank).max().unwrap_or_default(),
        targets: modules.iter().map(last).collect(),
        module_count: modules.len(),
        parameter_count: tensors.values().filter_map(|tensor| elements(&tensor.shape)).sum(),
        served_bytes,
    }
}

fn elements(shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, dim| product.checked_mul(*dim as u64))
}

impl AdapterSource for Adapter {
    fn name(&self) -> &str {
        &self.facts.name
    }

    fn modules(&self) -> &[AdapterModule] {
        &self.modules
    }
}

impl WeightSource for Adapter {
    fn describe(&self, name: &str) -> Option<(WeightType, Vec<usize>)> {
        let tensor = self.tensors.get(name)?;
        Some((tensor.weight_type, tensor.shape.clone()))
    }

    fn read(&self, name: &str) -> Result<RawTensor<'_>, SourceError> {
        let failed = |message: String| SourceError { name: name.to_owned(), message };
        let Some(tensor) = self.tensors.get(name) else {
            return Err(failed(format!("{} has no tensor of that name", self.file.path().display())));
        };
        let data = self.file.bytes_at(tensor.offset, tensor.n_bytes).map_err(|error| failed(error.to_string()))?;
        let (name, shape) = (name.to_owned(), tensor.shape.clone());
        Ok(RawTensor { name, weight_type: tensor.weight_type, shape, data: Cow::Owned(data) })
    }
}
