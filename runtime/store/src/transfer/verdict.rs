//! Pure: whether a file is what its source says.

use std::fmt;

use crate::{
    error::FetchError,
    hash::FileDigests,
    source::{Expected, RemoteFile},
};

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(sha256) => write!(f, "sha256:{sha256}"),
            Self::GitBlob(blob) => write!(f, "git blob {blob}"),
            Self::Nothing => f.write_str("no digest"),
        }
    }
}

pub(super) fn judge(file: &RemoteFile, found: &FileDigests) -> Result<(), FetchError> {
    let is_right = match &file.expected {
        Expected::Sha256(sha256) => *sha256 == found.sha256,
        Expected::GitBlob(blob) => Some(blob) == found.git_blob.as_ref(),
        Expected::Nothing => file.size.is_none_or(|size| size == found.size),
    };
    if is_right {
        return Ok(());
    }
    let hint = match file.size {
        _ if found.is_html => "; it starts like an HTML page, so check the URL and whether it wants credentials",
        Some(size) if found.size < size => "; the source serves a file that is cut off",
        _ => "",
    };
    Err(FetchError::FileDigest {
        path: file.path.to_string(),
        expected: file.expected.to_string(),
        expected_bytes: file.size.map_or_else(|| "any number of".to_owned(), |size| size.to_string()),
        found: match (&file.expected, &found.git_blob) {
            (Expected::GitBlob(_), Some(blob)) => format!("git blob {blob}"),
            _ => format!("sha256:{}", found.sha256),
        },
        found_bytes: found.size,
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::SafePath;

    fn check(expected: Expected, size: Option<u64>, found: &FileDigests, words: Option<&[&str]>) {
        let url = "https://a.example/m".parse().expect("url");
        let file = RemoteFile { path: SafePath::parse("m").expect("path"), url, size, expected };
        match (judge(&file, found), words) {
            (Ok(()), None) => {}
            (Err(error), Some(words)) => {
                assert_eq!(error.reason().as_str(), "DigestMismatch");
                for word in words {
                    assert!(error.to_string().contains(word), "{error} lacks {word}");
                }
            }
            (outcome, words) => panic!("{outcome:?}, expected {words:?}"),
        }
    }

    #[test]
    fn both_digests_are_in_the_message() {
        let found = FileDigests { size: 5, sha256: "b".repeat(64), git_blob: Some("d".repeat(40)), is_html: false };
        let (a, b, c, d) = ("a".repeat(64), "b".repeat(64), "c".repeat(40), "d".repeat(40));
        check(Expected::Sha256(b.clone()), Some(5), &found, None);
        check(Expected::GitBlob(d.clone()), Some(5), &found, None);
        check(Expected::Nothing, Some(5), &found, None);
        check(Expected::Nothing, None, &found, None);
        check(Expected::Sha256(a.clone()), Some(9), &found, Some(&[&a, &b, "cut off", "9 bytes", "5 bytes"]));
        check(Expected::GitBlob(c.clone()), None, &found, Some(&[&c, &d]));
        check(Expected::Nothing, Some(6), &found, Some(&["cut off"]));
        check(Expected::Sha256(a.clone()), None, &FileDigests { is_html: true, ..found }, Some(&["HTML", &a]));
    }
}
