//! Which tensors are whose: the names that PEFT gives them.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use alcazar_core::AdapterModule;

use super::config::Settings;
use crate::{Error, error::excerpt, file::SourceFile, gguf::TensorEntry};

/// What PEFT puts before the names of the base's modules.
const PREFIX: &str = "base_model.model.";
const MODULE_LIMIT: usize = 256;

/// A and B of a module, as far as they were found.
#[derive(Default)]
struct Pair<'a>([Option<(&'a str, &'a TensorEntry)>; 2]);

/// The modules with their matrices, in the order of their names.
pub(super) fn read(
    tensors: &HashMap<String, TensorEntry>,
    settings: &Settings,
    path: &Path,
    file: &SourceFile,
) -> Result<Vec<AdapterModule>, Error> {
    let mut pairs: BTreeMap<&str, Pair<'_>> = BTreeMap::new();
    for (name, tensor) in tensors {
        let (module, nth) = module_of(name, path)?;
        let slot = pairs.entry(module).or_default().0.get_mut(nth);
        if slot.and_then(|slot| slot.replace((name, tensor))).is_some() {
            let found = format!("tensor {} of several adapters", excerpt(name));
            return Err(Error::adapter(path, found, "save each adapter into a directory of its own"));
        }
    }
    if pairs.is_empty() {
        return Err(Error::adapter(path, "no matrices", "save the adapter after its training"));
    }
    let pairs = pairs.iter().map(|(module, pair)| whole(module, pair, settings, file));
    let mut modules = pairs.collect::<Result<Vec<_>, _>>()?;
    let named: Vec<_> = modules.iter().map(|module| (module.module.as_str(), module.rank)).collect();
    let scales = settings.scales(&named, path)?;
    modules.iter_mut().zip(scales).for_each(|(module, scale)| module.scale = scale);
    Ok(modules)
}

/// `model.layers.0.self_attn.q_proj` and 0 of `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`; B is 1.
fn module_of<'a>(name: &'a str, path: &Path) -> Result<(&'a str, usize), Error> {
    let bare = name.strip_prefix(PREFIX).unwrap_or(name);
    let refused =
        |what: &str, remedy: &str| Err(Error::adapter(path, format!("tensor {}, {what}", excerpt(name)), remedy));
    if bare.contains("lora_embedding_") {
        return refused(
            "a change of the embedding",
            "train it without the embedding among target_modules, or merge it",
        );
    }
    if bare.contains("lora_magnitude_vector") {
        return refused("which is DoRA's", "train it with use_dora=False");
    }
    for (nth, mark) in [".lora_A.", ".lora_B."].into_iter().enumerate() {
        let Some((module, rest)) = bare.split_once(mark) else { continue };
        if rest.ends_with("bias") {
            return refused("a bias", "train it with lora_bias=False");
        }
        // Between mark and ending stands the adapter's name in PEFT's own memory, which some programs save.
        if rest != "weight" && rest.strip_suffix(".weight").is_none_or(|inner| inner.contains('.')) {
            return refused("a name that PEFT does not give", "save it again with PEFT");
        }
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if module.is_empty() || module.len() > MODULE_LIMIT || !module.bytes().all(is_fit) {
            return refused("a name that no module has", "save it again with PEFT");
        }
        if module.ends_with(".base_layer") {
            return refused("a parameter of a module with several", "name target_modules instead of target_parameters");
        }
        return Ok((module, nth));
    }
    refused("no matrix of a LoRA", "train it without modules_to_save, on a vocabulary that is not changed, or merge it")
}

fn whole(module: &str, pair: &Pair<'_>, settings: &Settings, file: &SourceFile) -> Result<AdapterModule, Error> {
    let malformed = |found: String, expected: &str| Error::malformed(file.path(), 8, found, expected.to_owned());
    let &Pair([Some((a_name, a)), Some((b_name, b))]) = pair else {
        return Err(malformed(format!("one matrix of {module}"), "lora_A and lora_B of each module"));
    };
    let (&[rank, n_in], &[n_out, same]) = (a.shape.as_slice(), b.shape.as_slice()) else {
        return Err(malformed(format!("{:?} and {:?} for {module}", a.shape, b.shape), "[rank, in] and [out, rank]"));
    };
    if rank != same || !settings.ranks.contains(&rank) {
        let found = format!("{:?} and {:?} for {module}", a.shape, b.shape);
        return Err(malformed(found, "the rank of adapter_config.json in both"));
    }
    let tensors = [a_name.to_owned(), b_name.to_owned()];
    Ok(AdapterModule { module: module.to_owned(), tensors, rank, n_in, n_out, scale: 0.0 })
}
