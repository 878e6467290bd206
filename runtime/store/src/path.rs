//! Pure: the relative paths that may become files of a model.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::error::FetchError;

/// Longest name most file systems take.
const MAX_COMPONENT_BYTES: usize = 255;
/// Far above real repositories, far below any path limit.
const MAX_PATH_BYTES: usize = 1024;

/// A relative path that stays below whatever it is joined to, on one line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(String);

impl SafePath {
    /// Refuses absolute paths, `..`, `.`, empty components, backslashes and control characters.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(FetchError::UnsafePath { path: text.escape_debug().take(200).collect(), fault }),
        }
    }

    /// The path with `/` between components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > MAX_PATH_BYTES {
        return Some("it is longer than 1024 bytes");
    }
    if text.starts_with('/') {
        return Some("it is absolute");
    }
    if text.contains('\\') {
        return Some("it contains a backslash");
    }
    if text.chars().any(char::is_control) {
        return Some("it contains a control character");
    }
    text.split('/').find_map(|component| match component {
        "" => Some("it has an empty component"),
        "." | ".." => Some("it contains '.' or '..'"),
        long if long.len() > MAX_COMPONENT_BYTES => Some("a component is longer than 255 bytes"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_leaves_the_directory() {
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\0b", "a\nb", "a\\b", ".."] {
            assert!(SafePath::parse(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn accepts_names_of_real_repositories() {
        for good in ["config.json", "1_Pooling/config.json", "model-00001-of-00002.safetensors", "a..b", "…/ü.gguf"]
        {
            assert_eq!(SafePath::parse(good).expect(good).as_str(), good);
        }
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_root(text in "[a-z./\\\\\u{0}-\u{20}]{0,40}") {
            if let Ok(path) = SafePath::parse(&text) {
                let full = path.below(Path::new("/root"));
                prop_assert!(full.starts_with("/root"));
                prop_assert!(full != Path::new("/root"));
                let only_normal = full.strip_prefix("/root").expect("checked").components()
                    .all(|component| matches!(component, Component::Normal(_)));
                prop_assert!(only_normal);
                prop_assert_eq!(path.as_str().lines().count(), 1);
            }
        }
    }
}
