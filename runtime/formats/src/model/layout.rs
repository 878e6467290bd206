//! Directories as other programs leave them: the hub's local cache, and Ollama's store.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    Error, Plain,
    error::excerpt,
    file::{SourceFile, read_small},
};

#[cfg(test)]
mod tests;

const SMALL: u64 = 1 << 20;
/// Files of a store of models; far above what people keep.
const ENTRY_LIMIT: usize = 10_000;
/// `registry.ollama.ai/library/NAME/TAG`
const MANIFEST_DEPTH: usize = 4;
const MODEL_LAYER: &str = "application/vnd.ollama.image.model";
const ADAPTER_LAYER: &str = "application/vnd.ollama.image.adapter";

/// The file or directory that holds the model.
pub(crate) fn locate(path: &Path) -> Result<PathBuf, Error> {
    let (manifests, blobs) = (path.join("manifests"), path.join("blobs"));
    if path.join("snapshots").is_dir() && blobs.is_dir() {
        return snapshot(path);
    }
    if manifests.is_dir() && blobs.is_dir() {
        let mut found = Vec::new();
        find_files(&manifests, MANIFEST_DEPTH, &mut found)?;
        found.sort();
        return match found.as_slice() {
            [one] => layer(one, &blobs),
            several => Err(not_one(path, &manifests, several, "one model; give the path of its manifest")),
        };
    }
    // A manifest itself, `…/manifests/REGISTRY/NAMESPACE/NAME/TAG`.
    let store =
        path.ancestors().nth(MANIFEST_DEPTH).filter(|store| store.file_name().is_some_and(|name| name == "manifests"));
    match store.map(|store| store.with_file_name("blobs")) {
        Some(blobs) if path.is_file() => layer(path, &blobs),
        _ => Ok(path.to_owned()),
    }
}

/// `refs/main` names the revision; without it there must be one.
fn snapshot(path: &Path) -> Result<PathBuf, Error> {
    let snapshots = path.join("snapshots");
    if let Some(revision) = read_small(&Plain, &path.join("refs/main"), SMALL)? {
        let revision = String::from_utf8_lossy(&revision);
        let revision = revision.trim();
        let is_plain = !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_plain && snapshots.join(revision).is_dir() {
            return Ok(snapshots.join(revision));
        }
    }
    let mut found = entries(&snapshots)?;
    found.retain(|entry| entry.is_dir());
    match found.as_slice() {
        [one] => Ok(one.clone()),
        several => Err(not_one(path, &snapshots, several, "one revision; give the path of the snapshot")),
    }
}

/// The blob of a manifest's model.
fn layer(manifest: &Path, blobs: &Path) -> Result<PathBuf, Error> {
    let malformed = |found: String, expected: &str| Error::malformed(manifest, 0, found, expected);
    let text = read_small(&Plain, manifest, SMALL)?.unwrap_or_default();
    let json: Value = serde_json::from_slice(&text)
        .map_err(|error| malformed(format!("no JSON: {error}"), "a manifest of Ollama"))?;
    let layers = json.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |layer: &Value, key: &str| layer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if layers.iter().any(|layer| text(layer, "mediaType") == ADAPTER_LAYER) {
        return Err(Error::unsupported(manifest, "a model with an adapter", "models of one GGUF file"));
    }
    let models: Vec<String> = layers
        .iter()
        .filter(|layer| text(layer, "mediaType") == MODEL_LAYER)
        .map(|layer| text(layer, "digest"))
        .collect();
    let [digest] = models.as_slice() else {
        return Err(malformed(format!("{} layers of weights", models.len()), "one"));
    };
    let digits = digest.strip_prefix("sha256:").unwrap_or_default();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed(format!("digest {}", excerpt(digest)), "sha256: and 64 hex digits"));
    }
    let blob = blobs.join(format!("sha256-{digits}"));
    SourceFile::open_with(&Plain, &blob)?;
    Ok(blob)
}

fn not_one(path: &Path, place: &Path, found: &[PathBuf], expected: &str) -> Error {
    let names = found.iter().map(|found| found.strip_prefix(place).unwrap_or(found).display().to_string());
    Error::NotOneModel {
        path: path.to_owned(),
        found: format!("{} of them: {}", found.len(), names.take(10).collect::<Vec<_>>().join(", ").escape_default()),
        expected: expected.to_owned(),
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::read(directory, 0, source);
    let entries = std::fs::read_dir(directory).map_err(failed)?.take(ENTRY_LIMIT);
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn find_files(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in entries(directory)? {
        if found.len() >= ENTRY_LIMIT {
            break;
        }
        match depth.checked_sub(1) {
            Some(0) if entry.is_file() => found.push(entry),
            Some(below) if below > 0 && entry.is_dir() => find_files(&entry, below, found)?,
            _ => {}
        }
    }
    Ok(())
}
