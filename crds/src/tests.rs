//! What can be known of the kinds without an API server. The rules themselves are judged by a real one, in tests/api,
//! with the cases of tests/cases/crds.

mod bounds;
mod names;
mod vocabulary;
mod yaml;

use std::path::PathBuf;

use crate::generated;

/// A path of the repository.
fn repo(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn generated_files_are_up_to_date() {
    assert_eq!(generated::stale_files(&repo("")), Vec::<PathBuf>::new(), "run `make generate`");
}

#[test]
fn a_changed_file_is_stale() {
    let root = std::env::temp_dir().join(format!("crdgen-{}", std::process::id()));
    for file in generated::generated_files() {
        let path = root.join(&file.path);
        std::fs::create_dir_all(path.parent().expect("a file should be in a folder")).expect("a folder should be made");
        std::fs::write(path, file.text).expect("a file should be written");
    }
    assert!(generated::stale_files(&root).is_empty());
    std::fs::write(root.join("crds/yaml/llmmodels.yaml"), "edited").expect("a file should be written");
    std::fs::remove_file(root.join("docs/reference/kinds.md")).expect("a file should be removed");
    let stale = generated::stale_files(&root);
    std::fs::remove_dir_all(&root).expect("the folder should be removed");
    assert_eq!(stale, [PathBuf::from("docs/reference/kinds.md"), PathBuf::from("crds/yaml/llmmodels.yaml")]);
}
