//! Every model of the test fixtures is told for what it is.

use std::path::{Path, PathBuf};

use super::*;

/// The directories below `folder` that hold weights in one of these endings.
fn models(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(folder)];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        let ends = |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known));
        // What lies below a model belongs to it.
        if files.iter().any(ends) {
            open.extend(folders.into_iter().filter(|folder| folder.ends_with("gguf")));
            found.push(folder);
        } else {
            open.extend(folders);
        }
    }
    found
}

#[test]
fn every_family_and_head_is_inspected() {
    let mut n_checked = 0;
    for (folder, is_decoder) in [("decoders", true), ("encoders", false)] {
        for path in models(folder, &["safetensors", "gguf"]) {
            let facts = inspect(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let told = format!("{}: {facts:?}", path.display());
            assert!(!facts.architecture.is_empty() && !facts.task.is_empty() && !facts.tokenizer.is_empty(), "{told}");
            assert!(facts.parameter_count > 1000 && facts.tensor_count > 5 && facts.layers > 0, "{told}");
            assert!(facts.context_length > 0 && facts.vocabulary > 0 && facts.size_bytes > 1000, "{told}");
            assert!(!facts.weight_types.is_empty() && !facts.served_bytes.is_empty(), "{told}");
            assert_eq!(facts.cache_bytes_per_token > 0, is_decoder, "{told}");
            assert_eq!(facts.task == "text-generation", is_decoder, "{told}");
            n_checked += 1;
        }
    }
    assert!(n_checked > 90, "{n_checked}");
}
