//! WireGuard's keys: X25519, written as base64.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use boringtun::x25519;
use zeroize::Zeroizing;

const BYTES: usize = 32;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing of the text is told: it may be a private key.
    #[error("the key is not 32 bytes in base64 (44 characters), which is what `wg genkey` and `wg pubkey` print")]
    NotAKey,
    /// Its shared secrets are known to everybody, so that anybody could be this peer.
    #[error("the public key is of low order and protects nothing; it was not made by `wg pubkey`")]
    LowOrder,
    #[error("the system gave no randomness for a key")]
    NoRandomness,
}

/// Overwritten when dropped; never shown by `Debug`.
#[derive(Clone)]
pub struct PrivateKey(x25519::StaticSecret);

impl PrivateKey {
    /// From the system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        getrandom::fill(&mut *bytes).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Any 32 bytes are a key once they are clamped as RFC 7748 section 5 says.
    pub fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let mut clamped = Zeroizing::new(*bytes);
        clamped[0] &= 0b1111_1000;
        clamped[31] = (clamped[31] & 0b0111_1111) | 0b0100_0000;
        Self(x25519::StaticSecret::from(*clamped))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(x25519::PublicKey::from(&self.0).to_bytes())
    }

    /// As `wg genkey` writes it.
    pub fn encode(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_bytes()))
    }

    pub(crate) fn secret(&self) -> x25519::StaticSecret {
        self.0.clone()
    }
}

impl FromStr for PrivateKey {
    type Err = KeyError;

    /// White space around the key is allowed: files end in a newline.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Ok(Self::from_bytes(&*decode(text.trim())?))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(hidden)")
    }
}

/// Who a peer is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; BYTES]);

impl PublicKey {
    pub(crate) fn point(self) -> x25519::PublicKey {
        x25519::PublicKey::from(self.0)
    }

    pub(crate) const fn from_wire(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let key = Self(*decode(text.trim())?);
        // Any clamped scalar takes a point of low order to zero.
        let scalar = PrivateKey::from_bytes(&[1; BYTES]).0;
        let contributory = scalar.diffie_hellman(&key.point()).was_contributory();
        if contributory { Ok(key) } else { Err(KeyError::LowOrder) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

fn decode(text: &str) -> Result<Zeroizing<[u8; BYTES]>, KeyError> {
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyError::NotAKey)?);
    let bytes: [u8; BYTES] = bytes.as_slice().try_into().map_err(|_| KeyError::NotAKey)?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests;
