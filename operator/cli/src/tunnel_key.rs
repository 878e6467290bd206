//! Key pairs of WireGuard: Curve25519, as base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::error::Error;

/// Both halves, 44 characters base64 each.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// Stays with the person.
    pub private: String,
    /// Goes into the `LlmVpnPeer`.
    pub public: String,
}

/// The pair of these random bytes, clamped as `wg genkey` does.
#[must_use]
pub fn from_bytes(random: [u8; 32]) -> KeyPair {
    let mut scalar = random;
    scalar[0] &= 0b1111_1000;
    scalar[31] = (scalar[31] & 0b0111_1111) | 0b0100_0000;
    let secret = StaticSecret::from(scalar);
    KeyPair { private: STANDARD.encode(scalar), public: STANDARD.encode(PublicKey::from(&secret).as_bytes()) }
}

/// A new pair from the system's randomness.
///
/// # Errors
/// The system has none to give.
pub fn generate() -> Result<KeyPair, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| Error::Random { why: error.to_string() })?;
    Ok(from_bytes(random))
}

/// A public key as WireGuard writes it: 32 bytes in base64.
///
/// # Errors
/// Anything else.
pub fn check_public(what: &'static str, text: &str) -> Result<(), Error> {
    let is_key = text.len() == 44 && STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
    let refused =
        || Error::Value { what, found: text.to_owned(), expected: "44 characters base64, as `wg pubkey` prints" };
    if is_key { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pair of RFC 7748, section 6.1 (Bob), the private half clamped.
    #[test]
    fn makes_the_pair_of_the_standard() {
        let bob = [
            0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f, 0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b,
            0xb1, 0x29, 0x26, 0x18, 0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb,
        ];
        let pair = from_bytes(bob);
        assert_eq!(pair.public, "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=");
        let private = STANDARD.decode(&pair.private).unwrap();
        assert_eq!((private[0], &private[1..31], private[31]), (0x58, &bob[1..31], 0x6b));
        assert!(check_public("--server-key", &pair.public).is_ok());
        for bad in ["", "hSDwCYkwp1R0i33ctD73Wg2", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTm==", &"é".repeat(22)] {
            assert!(check_public("--server-key", bad).is_err(), "{bad}");
        }
        assert!(generate().unwrap() != generate().unwrap());
    }
}
