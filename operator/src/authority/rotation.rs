//! Whether a stored leaf still does. Pure: the clock is passed in, the answer depends on public parts alone.

use jiff::{SignedDuration, Timestamp};
use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject as _};

use super::{
    Authority, LeafNames, bundle_fingerprint, days, fingerprint,
    handover::INTRODUCED_FOR,
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
    /// Of `ca.crt` beside it; empty when it could not be read.
    bundle_fingerprint: String,
}

impl KnownLeaf {
    /// Reads the three files of a TLS Secret. None when they are no pair: then a new one is issued.
    pub(crate) fn read(certificate_pem: &[u8], key_pem: &[u8], ca_pem: &[u8]) -> Option<Self> {
        let certificate = read_certificate(certificate_pem).ok()?;
        let key = KeyPair::from_pem(std::str::from_utf8(key_pem).ok()?).ok()?;
        let public = key.public_key_raw();
        // The certificate holds the public half as one run of bytes, so a foreign key is found out without a parser.
        certificate.windows(public.len()).find(|window| *window == public)?;
        let bundle = CertificateDer::pem_slice_iter(ca_pem).collect::<Result<Vec<_>, _>>();
        let bundle_fingerprint = bundle.map(|bundle| bundle_fingerprint(&bundle)).unwrap_or_default();
        Some(Self { fingerprint: fingerprint(&certificate), certificate, bundle_fingerprint })
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
    /// It stays, and the bundle beside it is not what is to be trusted now.
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
    let lasts = |ca: &CertificateDer<'_>, left: SignedDuration| {
        let later = now.as_second().saturating_add(left.as_secs());
        let later = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(later).unwrap_or(0)));
        verifies(&known.certificate, ca, names, later)
    };
    // One that came due in the meantime waits for the others: its clients are still being told of the new authority.
    let stays_with = |older: &CertificateDer<'_>| lasts(older, RENEW_BEFORE - INTRODUCED_FOR);
    if !lasts(authority.certificate(), RENEW_BEFORE) && !authority.older_signers(now).any(stays_with) {
        LeafVerdict::Due
    } else if !carries(&known.certificate, names) {
        LeafVerdict::WrongNames
    } else if known.bundle_fingerprint != authority.bundle_fingerprint(now) {
        LeafVerdict::StaleBundle
    } else {
        LeafVerdict::Keep
    }
}
