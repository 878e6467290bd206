//! Pure: what a set of files is, in one digest.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestFile {
    /// Below the model directory, `/` between components.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// The files of a model, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest {
    files: Vec<ManifestFile>,
}

impl Manifest {
    /// Sorts by the bytes of the paths, so that the digest does not depend on the order of discovery.
    pub fn new(mut files: Vec<ManifestFile>) -> Self {
        files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        Self { files }
    }

    /// In canonical order.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// Sum of the files' sizes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// One line per file: `<sha256 hex>  <size>  <path>\n`.
    pub fn canonical(&self) -> String {
        self.files.iter().fold(String::new(), |mut text, file| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}  {}  {}", file.sha256, file.size, file.path);
            text
        })
    }

    /// `sha256:<hex>` over [`Self::canonical`].
    pub fn digest(&self) -> String {
        format!("sha256:{}", hex(&Sha256::digest(self.canonical())))
    }
}

/// What lies beside a sealed directory: enough to prove it again and to know it by its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SealedManifest {
    pub digest: String,
    /// Key of the source that brought it; a later fetch of the same source finds it by this.
    pub source_key: String,
    pub files: Manifest,
}

/// Lower-case hex of any bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The 64 hex digits of `sha256:<hex>`, or why it is none.
pub fn parse_digest(text: &str) -> Result<&str, String> {
    match text.strip_prefix("sha256:") {
        Some(digits) if is_sha256_hex(digits) => Ok(digits),
        _ => Err(format!(
            "'{}' is not a digest: write 'sha256:' and 64 lower-case hex digits",
            text.chars().take(100).collect::<String>().escape_debug()
        )),
    }
}

pub(crate) fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str, size: u64) -> ManifestFile {
        ManifestFile { path: path.to_owned(), size, sha256: hex(&Sha256::digest(path)) }
    }

    #[test]
    fn the_canonical_form_is_fixed() {
        let manifest = Manifest::new(vec![
            ManifestFile { path: "b/c.json".into(), size: 2, sha256: "1".repeat(64) },
            ManifestFile { path: "a.gguf".into(), size: 10, sha256: "0".repeat(64) },
        ]);
        let expected = format!("{}  10  a.gguf\n{}  2  b/c.json\n", "0".repeat(64), "1".repeat(64));
        assert_eq!(manifest.canonical(), expected);
        assert_eq!(manifest.digest(), "sha256:0f1a3dc263f73831cce032610dc0b5f36ed8485cabb17683c029d8ecdba2f20d");
        assert_eq!(manifest.size_bytes(), 12);
    }

    #[test]
    fn digests_are_parsed_strictly() {
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(parse_digest(&good), Ok("0a".repeat(32).as_str()));
        for bad in ["", "sha256:", "sha256:00", &good.to_uppercase(), &format!("{good}0"), &good.replace(':', "-")] {
            assert!(parse_digest(bad).is_err(), "{bad} must be refused");
        }
    }

    proptest! {
        #[test]
        fn order_of_discovery_does_not_matter(names in proptest::collection::btree_set("[a-z/]{1,12}", 1..8)) {
            let files: Vec<_> = names.iter().enumerate().map(|(n, name)| file(name, n as u64)).collect();
            let mut reversed = files.clone();
            reversed.reverse();
            prop_assert_eq!(Manifest::new(files.clone()).digest(), Manifest::new(reversed).digest());
            let mut other = files;
            other[0].size += 1;
            prop_assert_ne!(Manifest::new(other).digest(), Manifest::new(names.iter().enumerate()
                .map(|(n, name)| file(name, n as u64)).collect()).digest());
        }
    }
}
