//! API keys: found in the head of a request, known by their hash, compared in constant time. Pure.

use std::fmt;

use hyper::{HeaderMap, header::AUTHORIZATION};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::quota::Limits;

/// Longest text that is hashed at all; a key has 47 characters.
const MAX_KEY_BYTES: usize = 256;
/// How every key begins.
const PREFIX: &str = "alc_";
/// Parameters of a query under which people send keys.
const QUERY_NAMES: [&str; 6] = ["key", "api_key", "api-key", "apikey", "access_token", "token"];

/// SHA-256 of a key's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// Of the whole text of a key.
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// From 64 lower-case hex digits.
    pub(crate) fn from_hex(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes();
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 64 || !digits.iter().all(is_hex) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Where a table looks. Who can choose a hash's first bytes cannot choose a key.
    pub(crate) fn bucket(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }

    /// In constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct Name {
    /// Never empty.
    pub(crate) namespace: String,
    /// Never empty.
    pub(crate) name: String,
}

impl Name {
    /// From anything stringly.
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A key as its object describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// Of the object; the namespace is that of the models.
    pub(crate) name: Name,
    /// Of the key's text.
    pub(crate) hash: Hash,
    /// Deployments that it allows; empty: all of the namespace.
    pub(crate) models: Vec<String>,
    /// What it may use.
    pub(crate) limits: Limits,
    /// When it ends.
    pub(crate) expires_at: Option<Timestamp>,
    /// Whether somebody ended it.
    pub(crate) is_revoked: bool,
    /// What its object tells of earlier use.
    pub(crate) spent: Spent,
}

/// What was used so far, as the object's status keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Requests since the beginning.
    pub(crate) requests: i64,
    /// Tokens read since the beginning.
    pub(crate) prompt_tokens: i64,
    /// Tokens written since the beginning.
    pub(crate) completion_tokens: i64,
    /// Tokens of `day`.
    pub(crate) tokens_today: i64,
    /// As `2026-01-31`, in UTC; empty: none yet.
    pub(crate) day: String,
}

impl Key {
    /// Whether it may be used now.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        !self.is_revoked && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it allows the deployment of its namespace.
    pub(crate) fn allows(&self, deployment: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|model| model == deployment)
    }
}

/// The text of the key in a head, if there is exactly one that may be a key.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let only = all.next().filter(|_| all.next().is_none())?;
    let (scheme, text) = only.to_str().ok()?.split_once(' ')?;
    let text = text.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !text.is_empty() && text.len() <= MAX_KEY_BYTES).then_some(text)
}

/// Whether a query carries what may be a key: it would stand in logs of whatever is in between.
pub(crate) fn is_in_query(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        QUERY_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) || pair.contains(PREFIX)
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    #[test]
    fn takes_one_bearer() {
        assert_eq!(presented(&headers(&["Bearer alc_x"])), Some("alc_x"));
        assert_eq!(presented(&headers(&["bearer  alc_x "])), Some("alc_x"));
        let long = format!("Bearer {}", "a".repeat(300));
        for none in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Basic alc_x"],
            &["alc_x"],
            &["Bearer a", "Bearer a"],
            &["Bearer \u{e9}"],
            &[long.as_str()],
        ] {
            assert_eq!(presented(&headers(none)), None, "{none:?}");
        }
    }

    #[test]
    fn sees_keys_in_queries() {
        for query in ["key=x", "a=b&API_KEY=x", "access_token", "q=alc_abc"] {
            assert!(is_in_query(query), "{query}");
        }
        assert!(!is_in_query("limit=10&after=model"));
    }

    #[test]
    fn reads_hashes() {
        let hash = Hash::of("alc_x");
        let hex = crate::audit::chain::hex(&hash.0);
        assert!(Hash::from_hex(&hex).expect("64 digits").is(&hash));
        assert!(!Hash::of("alc_y").is(&hash));
        for wrong in ["", "+f", &hex[1..], &hex.to_uppercase(), &format!("+{}", &hex[1..])] {
            assert_eq!(Hash::from_hex(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{hash:?}"), "Hash(..)");
    }
}
