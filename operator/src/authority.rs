//! The operator's own certificate authority: one CA per installation, one leaf per deployment and two for the gateway.
//!
//! Keys are made and certificates signed here without a client; only [`apply`], [`gateway`] and [`vpn`] talk to the cluster.
//! A private key never leaves this module but inside a Secret: [`PrivateKeyPem`] has no readable `Debug`.
//! There is no X.509 parser in the operator: a stored leaf is judged by verifying it (see [`rotation`]),
//! and the CA's name follows from its key, so an issuer is rebuilt from the key alone.

mod apply;
mod ca;
mod gateway;
mod handover;
mod leaf;
mod rotation;
#[cfg(test)]
mod tests;
mod vpn;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};

pub(crate) use self::{
    apply::AuthorityStore,
    ca::Authority,
    gateway::{bundle, keep, merge_params},
    leaf::{Leaf, LeafNames},
    rotation::{KnownLeaf, LeafVerdict, judge},
};

/// Name of the Secret with the CA's certificate and key, and of the ConfigMap with its certificate alone.
pub(crate) const CA_NAME: &str = "alcazar-ca";
/// Annotation: RFC 3339 time at which the certificate ends.
pub(crate) const NOT_AFTER: &str = "alcazar.dev/certificate-not-after";
/// Annotation: SHA-256 of the certificate, as browsers and `openssl x509 -fingerprint` show it, without colons.
pub(crate) const FINGERPRINT: &str = "alcazar.dev/certificate-sha256";

/// Keys of the Secrets and of the bundle.
pub(crate) const TLS_CRT: &str = "tls.crt";
pub(crate) const TLS_KEY: &str = "tls.key";
pub(crate) const CA_CRT: &str = "ca.crt";
/// In the authority's own Secret: the certificates of those before it, in PEM.
const OLDER_CRT: &str = "older.crt";
/// Annotation of the same: RFC 3339 time at which it took over from them.
const TOOK_OVER: &str = "alcazar.dev/took-over-at";

const fn days(n: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * n)
}

/// A private key in PEM; prints as a placeholder.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrivateKeyPem(String);

impl PrivateKeyPem {
    /// The key itself, for a Secret's data and nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKeyPem([redacted])")
    }
}

/// What can go wrong with keys and certificates, without a client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// The system's random source or the key encoder failed.
    #[error("failed to generate a P-256 key pair")]
    GenerateKey { source: rcgen::Error },
    /// The stored key is no PEM key that can sign.
    #[error("failed to read the private key: it is no PKCS#8 P-256 key in PEM")]
    ReadKey,
    /// The stored certificate is no PEM certificate.
    #[error("failed to read the certificate: it is no X.509 certificate in PEM")]
    ReadCertificate,
    /// The stored certificate and key do not belong together.
    #[error("failed to use the certificate authority: what its key signs does not verify against its certificate")]
    Mismatch,
    /// A DNS name that a certificate cannot carry.
    #[error("failed to write the name {name:?} into a certificate")]
    InvalidName { name: String, source: rcgen::Error },
    /// Signing failed.
    #[error("failed to sign the certificate")]
    Sign { source: rcgen::Error },
}

/// Lower-case hex SHA-256 of a certificate.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(&Sha256::digest(certificate))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Lower-case hex SHA-256 of certificates one after the other: the identity of a bundle, however its text is laid out.
fn bundle_fingerprint<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> String {
    let mut hash = Sha256::new();
    for certificate in certificates {
        hash.update(certificate);
    }
    hex(&hash.finalize())
}

fn read_certificate(pem: &[u8]) -> Result<CertificateDer<'static>, CertificateError> {
    CertificateDer::from_pem_slice(pem).map_err(|_| CertificateError::ReadCertificate)
}

/// The times of a certificate. A clock that is an hour behind still accepts it.
#[derive(Clone, Copy, Debug)]
struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Validity {
    fn starting(now: Timestamp, length: SignedDuration) -> Self {
        // Certificates count in seconds: cut here, so that the annotation says what the certificate says.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self {
            not_before: now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(now),
            not_after: now.saturating_add(length).unwrap_or(now),
        }
    }

    fn write_to(self, params: &mut rcgen::CertificateParams) {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let at = |t: Timestamp| epoch + std::time::Duration::from_secs(u64::try_from(t.as_second()).unwrap_or(0));
        params.not_before = at(self.not_before);
        params.not_after = at(self.not_after);
    }
}
