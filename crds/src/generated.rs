//! What crdgen writes: the path of every generated file below the repository's root, and its text.

use std::path::{Path, PathBuf};

use crate::{manifest::manifests, reference};

/// A generated file.
pub struct GeneratedFile {
    /// Path below the root of the repository.
    pub path: PathBuf,
    /// Its whole text.
    pub text: String,
}

/// The CRDs and the reference page; the same for the same types, byte by byte.
///
/// # Panics
/// Never: what is made of JSON can be written as YAML.
#[must_use]
pub fn generated_files() -> Vec<GeneratedFile> {
    let page = GeneratedFile { path: PathBuf::from("docs/reference/kinds.md"), text: reference::page() };
    let crds = manifests().into_iter().map(|manifest| {
        let yaml = serde_yaml::to_string(&manifest.crd).expect("JSON should be writable as YAML");
        GeneratedFile {
            path: Path::new("crds/yaml").join(manifest.plural).with_extension("yaml"),
            text: format!("# Generated from crds/src by `make generate`. Do not edit.\n{yaml}"),
        }
    });
    std::iter::once(page).chain(crds).collect()
}

/// The files below `root` that are missing or not as they would be written now.
#[must_use]
pub fn stale_files(root: &Path) -> Vec<PathBuf> {
    generated_files()
        .into_iter()
        .filter(|file| std::fs::read_to_string(root.join(&file.path)).ok().as_ref() != Some(&file.text))
        .map(|file| file.path)
        .collect()
}
