//! The files that the rules look at.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::mask::mask;

/// One file of the repository.
pub(crate) struct Source {
    /// Path below the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and literals blanked, as long as the text.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: mask(text) }
    }

    /// Test code may do what programs may not.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.split('/').any(|part| part == "tests" || part == "tests.rs" || part == "test_support.rs")
    }

    /// The code up to an inline test module.
    pub(crate) fn program(&self) -> &str {
        if self.is_test() {
            return "";
        }
        let inline = self.code.match_indices("#[cfg(test)]").find(|(at, _)| {
            let rest = self.code[at + "#[cfg(test)]".len()..].trim_start();
            rest.starts_with("mod ") && rest.find('{') < rest.find(';').or(Some(usize::MAX))
        });
        inline.map_or(&self.code, |(at, _)| &self.code[..at])
    }

    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate should lie in the repository")
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|failure| format!("{path} cannot be read: {failure}"))
}

/// All Rust of the repository.
pub(crate) fn rust() -> Vec<Source> {
    let mut files = Vec::new();
    for top in ["crds", "operator", "runtime", "tests"] {
        collect(&root().join(top), "rs", &mut files);
    }
    assert!(files.len() > 50, "the tree should have been found, but has {} Rust files", files.len());
    files
        .into_iter()
        .map(|path| Source::new(&below_root(&path), &fs::read_to_string(&path).unwrap_or_default()))
        .collect()
}

/// Files with one of the extensions, anywhere but in build outputs.
pub(crate) fn with_extension(extensions: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for extension in extensions {
        collect(root(), extension, &mut files);
    }
    files.into_iter().map(|path| (below_root(&path), fs::read_to_string(&path).unwrap_or_default())).collect()
}

fn below_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn collect(folder: &Path, extension: &str, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() || name == "target" || name == ".git" {
            continue;
        }
        if path.is_dir() {
            collect(&path, extension, into);
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
}

/// Fails with all of them at once.
#[track_caller]
pub(crate) fn none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n  {}", violations.len(), violations.join("\n  "));
}
