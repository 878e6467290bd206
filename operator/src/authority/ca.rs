//! The certificate authority itself: made, read back, renewed. No client; the clock is passed in.

use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber};
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};

use super::{
    CertificateError, Leaf, LeafNames, PrivateKeyPem, Validity, bundle_fingerprint, days, fingerprint,
    handover::Handover,
    hex,
    leaf::{sign_leaf, verifies},
    read_certificate,
};

/// How long a CA certificate lasts.
const CA_LIFE: SignedDuration = days(3650);
/// With less than this left the certificate is renewed with the same key, so that leaves stay valid under both.
const CA_RENEW_BEFORE: SignedDuration = days(365);
/// How the name of every authority of ours begins.
pub(super) const NAME: &str = "Alcazar model ports";

/// A certificate authority that can sign leaves.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: PrivateKeyPem,
    fingerprint: String,
    /// Those before it, while they matter.
    handover: Option<Handover>,
}

/// A certificate of the authority with the time it ends, as it goes into its Secret.
#[derive(Debug)]
pub(crate) struct MadeAuthority {
    pub(crate) authority: Authority,
    pub(crate) not_after: Timestamp,
}

impl Authority {
    /// Makes a new authority with a new key.
    pub(super) fn create(now: Timestamp) -> Result<MadeAuthority, CertificateError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|source| CertificateError::GenerateKey { source })?;
        Self::self_sign(key, now)
    }

    /// The same key under a new certificate.
    pub(super) fn renew(&self, now: Timestamp) -> Result<MadeAuthority, CertificateError> {
        let mut made = Self::self_sign(read_key(self.key_pem.expose())?, now)?;
        made.authority.handover.clone_from(&self.handover);
        Ok(made)
    }

    /// The same authority, with those that it takes over from.
    pub(super) fn after(self, handover: Option<Handover>) -> Self {
        Self { handover, ..self }
    }

    /// Reads what a Secret holds and proves that key and certificate belong together.
    pub(super) fn read(certificate_pem: &str, key_pem: &str, now: Timestamp) -> Result<Self, CertificateError> {
        let key = read_key(key_pem)?;
        let certificate = read_certificate(certificate_pem.as_bytes())?;
        let params = ca_params(&key, Validity::starting(now, CA_LIFE));
        let authority = Self {
            issuer: Issuer::new(params, key),
            fingerprint: fingerprint(&certificate),
            certificate,
            certificate_pem: certificate_pem.to_owned(),
            key_pem: PrivateKeyPem(key_pem.to_owned()),
            handover: None,
        };
        let names = LeafNames::of("trial", "trial");
        let trial = authority.issue(&names, now)?;
        let trial = read_certificate(trial.certificate_pem.as_bytes())?;
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            u64::try_from(now.as_second()).unwrap_or_default(),
        ));
        if verifies(&trial, &authority.certificate, &names, at) {
            Ok(authority)
        } else {
            Err(CertificateError::Mismatch)
        }
    }

    fn self_sign(key: KeyPair, now: Timestamp) -> Result<MadeAuthority, CertificateError> {
        let validity = Validity::starting(now, CA_LIFE);
        let params = ca_params(&key, validity);
        let certificate = params.self_signed(&key).map_err(|source| CertificateError::Sign { source })?;
        let key_pem = PrivateKeyPem(key.serialize_pem());
        let authority = Self {
            issuer: Issuer::new(params, key),
            fingerprint: fingerprint(certificate.der()),
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key_pem,
            handover: None,
        };
        Ok(MadeAuthority { authority, not_after: validity.not_after })
    }

    /// Signs a leaf with a new key for a deployment's names.
    pub(crate) fn issue(&self, names: &LeafNames, now: Timestamp) -> Result<Leaf, CertificateError> {
        sign_leaf(&self.issuer, names, now)
    }

    /// Its own certificate in PEM.
    pub(super) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// What clients and servers are to trust now, in PEM: its own certificate, then those of the authorities before it.
    pub(crate) fn bundle_pem(&self, now: Timestamp) -> String {
        let older = self.handover.as_ref().map(|handover| handover.trusted_pem(now)).unwrap_or_default();
        format!("{}\n{older}", self.certificate_pem.trim_end())
    }

    /// [`bundle_fingerprint`] of [`Self::bundle_pem`].
    pub(super) fn bundle_fingerprint(&self, now: Timestamp) -> String {
        let older = self.handover.iter().flat_map(|handover| handover.trusted(now));
        bundle_fingerprint(std::iter::once(&self.certificate).chain(older))
    }

    /// Those before it, while leaves of theirs may stay.
    pub(super) fn older_signers(&self, now: Timestamp) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.handover.iter().flat_map(move |handover| handover.signers(now))
    }

    pub(super) fn handover(&self) -> Option<&Handover> {
        self.handover.as_ref()
    }

    /// The certificate in DER.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Lower-case hex SHA-256 of the certificate.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn key_pem(&self) -> &PrivateKeyPem {
        &self.key_pem
    }
}

/// Whether the CA certificate is due. Without a readable end it is: renewing keeps the key and harms nobody.
pub(super) fn is_due(not_after: Option<Timestamp>, now: Timestamp) -> bool {
    not_after.is_none_or(|end| end.duration_since(now) < CA_RENEW_BEFORE)
}

fn read_key(pem: &str) -> Result<KeyPair, CertificateError> {
    let key = KeyPair::from_pem(pem).map_err(|_| CertificateError::ReadKey)?;
    if key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256) { Ok(key) } else { Err(CertificateError::ReadKey) }
}

/// The name follows from the key, so that two authorities never share one and an issuer needs no parser.
fn ca_params(key: &KeyPair, validity: Validity) -> CertificateParams {
    let key_hash = Sha256::digest(key.public_key_raw());
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, "Alcazar");
    params.distinguished_name.push(DnType::CommonName, format!("{NAME} {}", &hex(&key_hash)[..8]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity.write_to(&mut params);
    // Issuer and serial name a certificate; a renewal keeps the issuer, so the time is part of the serial.
    let mut serial = Sha256::new();
    serial.update(key_hash);
    serial.update(validity.not_before.as_second().to_be_bytes());
    params.serial_number = Some(positive_serial(&serial.finalize()));
    params
}

/// 16 bytes with the sign bit clear and never zero.
pub(super) fn positive_serial(hash: &[u8]) -> SerialNumber {
    let mut bytes: Vec<u8> = hash.iter().copied().take(16).collect();
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    SerialNumber::from(bytes)
}

#[cfg(test)]
impl Authority {
    /// One that no cluster holds.
    pub(crate) fn for_tests(now: Timestamp) -> Self {
        Self::create(now).unwrap().authority
    }
}
