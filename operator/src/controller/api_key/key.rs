//! An API key: `alc_` and 32 random bytes in base64url. Pure: the randomness is passed in.

use std::fmt;

use alcazar_contract::gateway::key::{LENGTH, PREFIX, RANDOM_BYTES};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// A key; prints as a placeholder.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// The key of these random bytes.
    pub(crate) fn from_random(random: &[u8; RANDOM_BYTES]) -> Self {
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)))
    }

    /// What a Secret holds, if that has the form of a key.
    pub(crate) fn read(stored: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(stored).ok()?;
        let random = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (text.len() == LENGTH && random.len() == RANDOM_BYTES).then(|| Self(text.to_owned()))
    }

    /// The key itself, for a Secret's data and nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the whole key, 64 lower-case hex digits.
    pub(crate) fn hash(&self) -> String {
        format!("{:x}", Sha256::digest(&self.0))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_form_that_the_gateway_reads() {
        let key = ApiKey::from_random(&[0xff; 32]);
        assert_eq!(key.expose(), "alc___________________________________________8");
        assert_eq!(key.expose().len(), LENGTH);
        assert_eq!(ApiKey::read(key.expose().as_bytes()), Some(key.clone()));
        // `printf %s alc_AAAA... | sha256sum`
        let zero = ApiKey::from_random(&[0; 32]);
        assert_eq!(zero.expose(), format!("alc_{}", "A".repeat(43)));
        assert_eq!(zero.hash(), "ef7483dcae61c5b86673e987b18b88a3faab43e86bb5c6e0c46230a943bda299");
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_one() {
        let good = ApiKey::from_random(&[7; 32]);
        let good = good.expose();
        for bad in [
            "",
            "alc_",
            &good[1..],
            &good[..46],
            &format!("{good}A"),
            &format!("{good}\n"),
            &good.replace("alc_", "sk-_"),
        ] {
            assert_eq!(ApiKey::read(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(ApiKey::read(&[0xff; 47]), None);
    }

    #[test]
    fn never_shows_itself() {
        assert_eq!(format!("{:?}", ApiKey::from_random(&[7; 32])), "ApiKey([redacted])");
    }
}
