//! Whether a stored leaf still does. Pure: the clock is passed in, the answer depends on public parts alone.

use jiff::{SignedDuration, Timestamp};
use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    Authority, LeafNames, days, fingerprint,
    leaf::{carries, verifies},
    read_certificate,
};

/// Two thirds of a leaf's life have passed when this much is left.
const RENEW_BEFORE: SignedDuration = days(30);

/// What is remembered of a stored leaf: its public part and where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownLeaf {
    certificate: CertificateDer<'static>,
    /// Lower-case hex SHA-256 of the certificate.
    pub(crate) fingerprint: String,
    /// `ca.crt` beside it, as a fingerprint; empty when it could not be read.
    ca_fingerprint: String,
}

impl KnownLeaf {
    /// Reads the three files of a TLS Secret. None when they are no pair: then a new one is issued.
    pub(crate) fn read(certificate_pem: &[u8], key_pem: &[u8], ca_pem: &[u8]) -> Option<Self> {
        let certificate = read_certificate(certificate_pem).ok()?;
        let key = KeyPair::from_pem(std::str::from_utf8(key_pem).ok()?).ok()?;
        let public = key.public_key_raw();
        // The certificate holds the public half as one run of bytes, so a foreign key is found out without a parser.
        certificate.windows(public.len()).find(|window| *window == public)?;
        let ca_fingerprint = read_certificate(ca_pem).map(|ca| fingerprint(&ca)).unwrap_or_default();
        Some(Self { fingerprint: fingerprint(&certificate), certificate, ca_fingerprint })
    }
}

/// Whether the stored leaf stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeafVerdict {
    /// It is sound and lasts.
    Keep,
    /// There is none, or none that can be read.
    Missing,
    /// It was signed by another authority or for another use, or it ends soon.
    Due,
    /// It lacks a name under which the pods are called.
    WrongNames,
    /// The bundle beside it is not the authority's certificate.
    StaleBundle,
}

/// Judges a stored leaf by what its clients will do: verify it, at the time when it would be too late to begin.
pub(crate) fn judge(
    known: Option<&KnownLeaf>,
    authority: &Authority,
    names: &LeafNames,
    now: Timestamp,
) -> LeafVerdict {
    let Some(known) = known else { return LeafVerdict::Missing };
    let later = now.as_second().saturating_add(RENEW_BEFORE.as_secs());
    let later = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(later).unwrap_or(0)));
    if !verifies(&known.certificate, authority.certificate(), names, later) {
        LeafVerdict::Due
    } else if !carries(&known.certificate, names) {
        LeafVerdict::WrongNames
    } else if known.ca_fingerprint != authority.fingerprint() {
        LeafVerdict::StaleBundle
    } else {
        LeafVerdict::Keep
    }
}
