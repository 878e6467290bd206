//! Trees as huggingface-cli and Ollama make them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::locate;
use crate::{Class, gguf::write::GgufWriter};

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

const REVISION: &str = "12fd25f77366fa6b3b4b768ec3050bf629380bac";

fn cache(root: &Path) -> PathBuf {
    let model = root.join("models--owner--name");
    put(&model.join("blobs/aa"), b"{}");
    put(&model.join("refs/main"), REVISION.as_bytes());
    let snapshot = model.join("snapshots").join(REVISION);
    fs::create_dir_all(&snapshot).unwrap();
    symlink("../../blobs/aa", snapshot.join("config.json")).unwrap();
    model
}

#[test]
fn the_cache_of_the_hub_is_served_as_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let model = cache(dir.path());
    let snapshot = model.join("snapshots").join(REVISION);
    assert_eq!(locate(&model).unwrap(), snapshot);
    assert_eq!(locate(&snapshot).unwrap(), snapshot);
    fs::create_dir_all(model.join("snapshots/older")).unwrap();
    assert_eq!(locate(&model).unwrap(), snapshot, "refs/main says which");
    fs::remove_file(model.join("refs/main")).unwrap();
    let text = locate(&model).unwrap_err().to_string();
    assert!(text.contains(REVISION) && text.contains("older") && text.contains("one revision"), "{text}");
    put(&model.join("refs/main"), b"../../..");
    assert!(locate(&model).is_err());
}

fn manifest(media: &str, digest: &str) -> Vec<u8> {
    let layer = format!(r#"{{"mediaType": "{media}", "digest": "{digest}", "size": 1}}"#);
    let license = r#"{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:00"}"#;
    format!(r#"{{"schemaVersion": 2, "layers": [{license}, {layer}]}}"#).into_bytes()
}

#[test]
fn a_store_of_ollama_is_served_as_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let digest = "0a".repeat(32);
    let blob = dir.path().join(format!("blobs/sha256-{digest}"));
    put(&blob, &GgufWriter::default().finish());
    let library = dir.path().join("manifests/registry.ollama.ai/library");
    let tag = library.join("tiny/latest");
    put(&tag, &manifest(super::MODEL_LAYER, &format!("sha256:{digest}")));
    assert_eq!(locate(dir.path()).unwrap(), blob);
    assert_eq!(locate(&tag).unwrap(), blob);
    let other = library.join("tiny/q8");
    put(&other, &manifest(super::MODEL_LAYER, "sha256:../../etc/passwd"));
    let text = locate(dir.path()).unwrap_err().to_string();
    assert!(text.contains("library/tiny/latest") && text.contains("library/tiny/q8"), "{text}");
    assert!(locate(&other).unwrap_err().to_string().contains("64 hex digits"));
    put(&other, &manifest(super::ADAPTER_LAYER, "sha256:00"));
    assert_eq!(locate(&other).unwrap_err().class(), Class::Unsupported);
    put(&other, b"{}");
    assert!(locate(&other).unwrap_err().to_string().contains("0 layers of weights"));
    put(&other, &manifest(super::MODEL_LAYER, &format!("sha256:{}", "0b".repeat(32))));
    assert_eq!(locate(&other).unwrap_err().class(), Class::Unreadable);
}

#[test]
fn every_other_path_is_itself() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a/b/c/d/model.gguf"), b"x");
    // Of a training, not of a cache.
    put(&dir.path().join("snapshots/step-1/x"), b"x");
    for path in [dir.path().to_owned(), dir.path().join("a/b/c/d/model.gguf"), dir.path().join("nowhere")] {
        assert_eq!(locate(&path).unwrap(), path);
    }
}
