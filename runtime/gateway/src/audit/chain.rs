//! Records and their chain. Pure.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// `prev` of the very first line.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What is kept of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When it came, RFC 3339 in UTC.
    pub time: String,
    /// `x-request-id` of the answer.
    pub request_id: String,
    /// Namespace and name of the key's object; never the key.
    pub key: String,
    /// Of key and model.
    pub namespace: String,
    /// The deployment; empty where the request named none of those that the key sees.
    pub model: String,
    /// Manifest digest of its weights, as its status tells it.
    pub digest: String,
    /// Path of the route.
    pub route: String,
    /// Of the answer, as HTTP has it; 499 where the client left before there was one.
    pub status: u16,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// From the request's head to the answer's end.
    pub milliseconds: u64,
    /// Of the answer's body.
    pub bytes: u64,
}

/// The end of a chain, to which the next line is tied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    prev: String,
}

impl Default for Chain {
    fn default() -> Self {
        Self { prev: GENESIS.to_owned() }
    }
}

impl Chain {
    /// Goes on after the line that has this hash.
    #[must_use]
    pub fn after(hash: impl Into<String>) -> Self {
        Self { prev: hash.into() }
    }

    /// Hash of the last line.
    #[must_use]
    pub fn last(&self) -> &str {
        &self.prev
    }

    /// The record's line, its newline included.
    pub fn seal(&mut self, record: &Record) -> Result<String, serde_json::Error> {
        let mut line = serde_json::to_string(record)?;
        line.truncate(line.len() - 1);
        line.push_str(r#","prev":""#);
        line.push_str(&self.prev);
        line.push('"');
        let hash = hash_of(&line);
        line.push_str(r#","hash":""#);
        line.push_str(&hash);
        line.push_str("\"}\n");
        self.prev = hash;
        Ok(line)
    }
}

pub(super) fn hash_of(sealed: &str) -> String {
    hex(&Sha256::digest(sealed.as_bytes()))
}

/// Lower-case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// The parts of a line without its newline: what is hashed, `prev`, and `hash`.
pub(super) fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (sealed, hash) = line.strip_suffix("\"}")?.rsplit_once(r#","hash":""#)?;
    let (_, prev) = sealed.strip_suffix('"')?.rsplit_once(r#","prev":""#)?;
    (is_hash(hash) && is_hash(prev)).then_some((sealed, prev, hash))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
