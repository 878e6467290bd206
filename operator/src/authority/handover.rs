//! How a new authority takes over from the one before without a lost request. Pure: the clock is passed in.
//!
//! The key of the old one may be gone, its certificate need not be. For a week both certificates are handed out, and leaves
//! of the old one stay where they are: whoever calls or is called learns of the new one before he meets a leaf of it. Then
//! every leaf is signed anew. A week later nobody can show a leaf of the old one any more, and it goes from the bundle.

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use webpki::anchor_from_trusted_cert;

use super::{ca::NAME, days, read_certificate};

/// Leaves of the older authority stay for so long. Less than what is left of any of them when a new authority comes.
pub(super) const INTRODUCED_FOR: SignedDuration = days(7);
/// The older authority is trusted for so long: pods whose rollout hangs take a new leaf up too, from their Secret.
const OLDER_KEPT_FOR: SignedDuration = days(14);
/// One after the other within two weeks is no plan; a bundle that grows without end is none either.
const MAX_OLDER: usize = 3;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates from before a new authority, and since when it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handover {
    since: Timestamp,
    older: Vec<Older>,
}

/// The certificate of an authority that signs nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Older {
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Handover {
    /// From the bundle that clients have had until now, newest first. None: it holds no certificate of ours.
    pub(super) fn after(bundle: &str, since: Timestamp) -> Option<Self> {
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        let older: Vec<Older> = blocks(bundle).filter_map(Older::read).take(MAX_OLDER).collect();
        (!older.is_empty()).then_some(Self { since, older })
    }

    /// When the new authority came.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// Until when leaves of the older authorities stay.
    pub(super) fn introduced_until(&self) -> Timestamp {
        self.since.saturating_add(INTRODUCED_FOR).unwrap_or(self.since)
    }

    /// Until when the older authorities are trusted.
    pub(super) fn kept_until(&self) -> Timestamp {
        self.since.saturating_add(OLDER_KEPT_FOR).unwrap_or(self.since)
    }

    /// Authorities whose leaves need not be signed anew yet.
    pub(super) fn signers(&self, now: Timestamp) -> impl Iterator<Item = &CertificateDer<'static>> {
        let until = self.introduced_until();
        self.older.iter().filter(move |_| now < until).map(|older| &older.certificate)
    }

    /// Certificates that belong into the bundle behind the new one.
    pub(super) fn trusted(&self, now: Timestamp) -> impl Iterator<Item = &CertificateDer<'static>> {
        let until = self.kept_until();
        self.older.iter().filter(move |_| now < until).map(|older| &older.certificate)
    }

    /// [`Self::trusted`] in PEM.
    pub(super) fn trusted_pem(&self, now: Timestamp) -> String {
        if now < self.kept_until() { self.pem() } else { String::new() }
    }

    /// All of them in PEM, as they are stored.
    pub(super) fn pem(&self) -> String {
        self.older.iter().map(|older| older.pem.as_str()).collect()
    }
}

impl Older {
    fn read(pem: String) -> Option<Self> {
        let certificate = read_certificate(pem.as_bytes()).ok()?;
        let subject = anchor_from_trusted_cert(&certificate).ok()?.subject.to_vec();
        let is_ours = subject.windows(NAME.len()).any(|window| window == NAME.as_bytes());
        is_ours.then_some(Self { certificate, pem })
    }
}

/// The certificates of a PEM text, one by one, without what is between them.
fn blocks(pem: &str) -> impl Iterator<Item = String> {
    pem.split_inclusive(END).filter_map(|part| {
        let block = &part[part.find(BEGIN)?..];
        block.ends_with(END).then(|| format!("{block}\n"))
    })
}

#[cfg(test)]
mod tests;
