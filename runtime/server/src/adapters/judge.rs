//! Whether a model's adapters can be served with it, told before anything is sealed or loaded.

use std::path::Path;

use alcazar_formats::{Access, Adapter, AdapterFacts, ModelConfig, adapter};
use alcazar_store::{FetchError, FormatsInspector, Inspect, Inspected};
use serde::Serialize;

use super::AdaptersError;
use crate::device;

/// An adapter as `inspect` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    #[serde(flatten)]
    facts: AdapterFacts,
    memory_bytes: u64,
}

/// The adapters in a model's directory that can be served with it, and why the others cannot.
pub(crate) fn inspect(access: &dyn Access, model: &Path) -> Result<(Vec<Told>, Vec<String>), alcazar_formats::Error> {
    let (mut told, mut refused) = (Vec::new(), Vec::new());
    let places = adapter::find(model)?;
    // What is converted first says its dimensions only then.
    let config = if places.is_empty() { None } else { alcazar_formats::open_with(access, model).ok() };
    for (name, path) in places {
        match open_one(access, &name, &path, config.as_ref().map(alcazar_formats::ModelFiles::config)) {
            Ok(adapter) => {
                let memory_bytes = device::adapter_memory(&adapter);
                told.push(Told { facts: adapter.facts().clone(), memory_bytes });
            }
            Err(error) => refused.push(format!("adapter {name}: {error}")),
        }
    }
    Ok((told, refused))
}

/// `config`: of its base, where it is known.
fn open_one(
    access: &dyn Access,
    name: &str,
    path: &Path,
    config: Option<&ModelConfig>,
) -> Result<Adapter, AdaptersError> {
    let adapter = Adapter::open_with(access, name, path)?;
    match config {
        Some(ModelConfig::Decoder(config)) => alcazar_models::check_adapter(config, &adapter)?,
        Some(ModelConfig::Encoder(_)) => return Err(AdaptersError::OfEncoder { name: name.to_owned() }),
        None => {}
    }
    Ok(adapter)
}

/// What judges models before they are sealed: the readers, and the adapters that come with them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModelInspector;

impl Inspect for ModelInspector {
    fn inspect(&self, access: &dyn Access, model: &Path) -> Result<Inspected, FetchError> {
        let inspected = FormatsInspector.inspect(access, model)?;
        match inspect(access, model)?.1.into_iter().next() {
            Some(fault) => Err(FetchError::UnsupportedModel { fault }),
            None => Ok(inspected),
        }
    }
}
