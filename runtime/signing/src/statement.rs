//! The in-toto statement: which files a model consists of, each with its SHA-256.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    SIGNATURE_FILE,
    error::{SignatureError, excerpt},
};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Below the model's directory, `/` between components.
    pub name: String,
    /// 64 lower-case hex digits.
    pub sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Debug, Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: SubjectDigest,
}

#[derive(Debug, Serialize, Deserialize)]
struct SubjectDigest {
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Descriptor>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Serialization {
    method: String,
    #[serde(default)]
    hash_type: String,
    #[serde(default)]
    allow_symlinks: bool,
    #[serde(default)]
    ignore_paths: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Descriptor {
    name: String,
    algorithm: String,
    digest: String,
}

/// Renders the statement for files in any order.
pub(crate) fn render(model_name: &str, resources: &[Resource]) -> Result<Vec<u8>, SignatureError> {
    let mut resources: Vec<Resource> = resources.to_vec();
    resources.sort();
    let statement = Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: vec![Subject {
            name: model_name.to_owned(),
            digest: SubjectDigest { sha256: root_digest(resources.iter().map(|resource| &*resource.sha256))? },
        }],
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            serialization: Serialization {
                method: "files".to_owned(),
                hash_type: "sha256".to_owned(),
                allow_symlinks: false,
                ignore_paths: [".git", ".gitattributes", ".github", ".gitignore", SIGNATURE_FILE]
                    .map(str::to_owned)
                    .to_vec(),
            },
            resources: resources
                .into_iter()
                .map(|Resource { name, sha256 }| Descriptor { name, algorithm: "sha256".to_owned(), digest: sha256 })
                .collect(),
        },
    };
    serde_json::to_vec(&statement).map_err(|error| SignatureError::malformed(format!("it has no JSON form: {error}")))
}

/// Reads a statement whose signature was verified. Names are as they were signed: whoever makes paths of them checks
/// them.
pub(crate) fn parse(payload: &[u8]) -> Result<Vec<Resource>, SignatureError> {
    let statement: Statement = serde_json::from_slice(payload)
        .map_err(|error| SignatureError::malformed(format!("found no statement on a model: {error}")))?;
    expect("statement", &statement.kind, STATEMENT_TYPE)?;
    expect("predicate", &statement.predicate_type, PREDICATE_TYPE)?;
    let Predicate { serialization, resources } = statement.predicate;
    expect("serialization method", &serialization.method, "files")?;
    for resource in &resources {
        expect("hash", &resource.algorithm, "sha256")?;
        if !is_sha256_hex(&resource.digest) {
            let fault = format!("the digest of '{}' is no SHA-256 in hex", excerpt(&resource.name));
            return Err(SignatureError::malformed(fault));
        }
    }
    let [subject] = statement.subject.as_slice() else {
        return Err(SignatureError::malformed(format!("found {} subjects, expected one", statement.subject.len())));
    };
    let found = root_digest(resources.iter().map(|resource| &*resource.digest))?;
    expect("root digest", &found, &subject.digest.sha256)?;
    let mut names = BTreeSet::new();
    if let Some(twice) = resources.iter().find(|resource| !names.insert(&*resource.name)) {
        return Err(SignatureError::malformed(format!("'{}' is listed twice", excerpt(&twice.name))));
    }
    let mut resources: Vec<Resource> =
        resources.into_iter().map(|Descriptor { name, digest, .. }| Resource { name, sha256: digest }).collect();
    resources.sort();
    Ok(resources)
}

fn expect(what: &str, found: &str, expected: &str) -> Result<(), SignatureError> {
    if found == expected {
        return Ok(());
    }
    Err(SignatureError::malformed(format!("found the {what} '{}', expected '{}'", excerpt(found), excerpt(expected))))
}

/// SHA-256 over the digests' bytes in the order of the list.
fn root_digest<'a>(digests: impl Iterator<Item = &'a str>) -> Result<String, SignatureError> {
    let mut hash = Sha256::new();
    for digest in digests {
        hash.update(unhex(digest).ok_or_else(|| SignatureError::malformed("a digest is no hex"))?);
    }
    Ok(hex(&hash.finalize()))
}

pub(crate) fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Lower-case hex of any bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
