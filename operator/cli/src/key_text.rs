//! The text of an API key: made of random bytes, known to the cluster by its hash only.

use std::fmt::Write as _;

use alcazar_contract::gateway::key::{PREFIX, RANDOM_BYTES};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// The key for these random bytes: `alc_`, by which a scanner of leaked secrets knows it, and 43 characters base64url.
/// Nobody guesses 256 bits, so a plain hash of it needs no salt and no slowness.
#[must_use]
pub fn from_bytes(random: &[u8; RANDOM_BYTES]) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
}

/// A new key from the system's randomness.
///
/// # Errors
/// The system has none to give.
pub fn generate() -> Result<String, crate::error::Error> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| crate::error::Error::Random { why: error.to_string() })?;
    Ok(from_bytes(&random))
}

/// SHA-256 of the whole text, 64 lower-case hex digits, as `spec.hash` has it.
#[must_use]
pub fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_form_that_the_gateway_knows() {
        let key = from_bytes(&[0xfb; 32]);
        assert_eq!(key, "alc_-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s");
        assert_eq!(key.len(), 47);
        // sha256sum's answer.
        assert_eq!(hash("alc_"), "17a33ba03aabd59012a53ddb8966ca3fe69c8bc575a4c833fc8f34c3bf58fd02");
        assert_ne!(generate().unwrap(), generate().unwrap());
    }
}
