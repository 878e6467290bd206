//! Keys on the three curves that model signatures are made with; the curve says the hash.

use p256::{
    ecdsa::signature::{Signer as _, Verifier as _},
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, LineEnding, spki},
};
use sha2::{Digest as _, Sha256};

use crate::{error::SignatureError, statement::hex};

const EXPECTED: &str = "an elliptic curve key (P-256, P-384 or P-521) in PEM, as `openssl ecparam -genkey` makes it";

/// Verifies.
#[derive(Clone, Debug)]
pub struct PublicKey(Point);

#[derive(Clone, Debug)]
enum Point {
    P256(p256::PublicKey),
    P384(p384::PublicKey),
    P521(p521::PublicKey),
}

/// Signs. Its bytes are zeroised when it is dropped.
#[derive(Clone)]
pub struct PrivateKey(Scalar);

#[derive(Clone)]
enum Scalar {
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
}

impl PublicKey {
    /// From `-----BEGIN PUBLIC KEY-----`.
    pub fn from_pem(text: &str) -> Result<Self, SignatureError> {
        let text = text.trim();
        if text.contains("PRIVATE KEY") {
            let fault = "found a private key, expected the public one; keep the private key with the signer";
            return Err(SignatureError::key(fault));
        }
        let p256 = || p256::PublicKey::from_public_key_pem(text).map(Point::P256).ok();
        let p384 = || p384::PublicKey::from_public_key_pem(text).map(Point::P384).ok();
        let p521 = || p521::PublicKey::from_public_key_pem(text).map(Point::P521).ok();
        let point = p256().or_else(p384).or_else(p521);
        point.map(Self).ok_or_else(|| SignatureError::key(format!("found no public key, expected {EXPECTED}")))
    }

    /// From the SubjectPublicKeyInfo of a certificate.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, SignatureError> {
        let p256 = || p256::PublicKey::from_public_key_der(der).map(Point::P256).ok();
        let p384 = || p384::PublicKey::from_public_key_der(der).map(Point::P384).ok();
        let p521 = || p521::PublicKey::from_public_key_der(der).map(Point::P521).ok();
        let point = p256().or_else(p384).or_else(p521);
        let fault = "the certificate's key is of no kind that signs models (P-256, P-384, P-521)";
        point.map(Self).ok_or_else(|| SignatureError::not_of_signer(fault))
    }

    /// SHA-256 (hex) of the key's PEM text, as bundles name keys.
    pub fn id(&self) -> Result<String, SignatureError> {
        Ok(hex(&Sha256::digest(self.to_pem()?)))
    }

    /// As `-----BEGIN PUBLIC KEY-----`.
    pub fn to_pem(&self) -> Result<String, SignatureError> {
        let pem = match &self.0 {
            Point::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Point::P384(key) => key.to_public_key_pem(LineEnding::LF),
            Point::P521(key) => key.to_public_key_pem(LineEnding::LF),
        };
        pem.map_err(|error: spki::Error| SignatureError::key(format!("the public key has no PEM form: {error}")))
    }

    /// Whether `signature` (DER) is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Point::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| p256::ecdsa::VerifyingKey::from(key).verify(message, &signature).is_ok()),
            Point::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| p384::ecdsa::VerifyingKey::from(key).verify(message, &signature).is_ok()),
            Point::P521(key) => {
                let key = p521::ecdsa::VerifyingKey::from_affine(*key.as_affine());
                let signature = p521::ecdsa::Signature::from_der(signature);
                matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
            }
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.to_pem(), other.to_pem()), (Ok(one), Ok(two)) if one == two)
    }
}

impl PrivateKey {
    /// From `-----BEGIN PRIVATE KEY-----` (PKCS #8) or `-----BEGIN EC PRIVATE KEY-----` (SEC 1), without a password.
    /// `-----BEGIN EC PARAMETERS-----` before it is passed over.
    pub fn from_pem(text: &str) -> Result<Self, SignatureError> {
        let start = ["-----BEGIN PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----"]
            .iter()
            .find_map(|label| text.find(label))
            .unwrap_or_default();
        let text = text.get(start..).unwrap_or_default().trim();
        if text.contains("ENCRYPTED") {
            let fault = "it is protected by a password; take that off first (openssl pkcs8 -in KEY -out PLAIN)";
            return Err(SignatureError::key(fault));
        }
        let p256 = || {
            let key = p256::SecretKey::from_pkcs8_pem(text).ok();
            key.or_else(|| p256::SecretKey::from_sec1_pem(text).ok()).map(Scalar::P256)
        };
        let p384 = || {
            let key = p384::SecretKey::from_pkcs8_pem(text).ok();
            key.or_else(|| p384::SecretKey::from_sec1_pem(text).ok()).map(Scalar::P384)
        };
        let p521 = || {
            let key = p521::SecretKey::from_pkcs8_pem(text).ok();
            key.or_else(|| p521::SecretKey::from_sec1_pem(text).ok()).map(Scalar::P521)
        };
        let scalar = p256().or_else(p384).or_else(p521);
        scalar.map(Self).ok_or_else(|| SignatureError::key(format!("found no private key, expected {EXPECTED}")))
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(match &self.0 {
            Scalar::P256(key) => Point::P256(key.public_key()),
            Scalar::P384(key) => Point::P384(key.public_key()),
            Scalar::P521(key) => Point::P521(key.public_key()),
        })
    }

    /// DER. Deterministic (RFC 6979) but for P-521.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let failed = |_| SignatureError::key("it cannot sign");
        Ok(match &self.0 {
            Scalar::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::SigningKey::from(key).try_sign(message).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
            Scalar::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    p384::ecdsa::SigningKey::from(key).try_sign(message).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
            Scalar::P521(key) => {
                let key = p521::ecdsa::SigningKey::from_bytes(&key.to_bytes()).map_err(failed)?;
                let signature: p521::ecdsa::Signature = key.try_sign(message).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
        })
    }
}
