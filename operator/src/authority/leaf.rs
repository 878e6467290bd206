//! The certificate of one deployment's model port. No client; the clock is passed in.

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};

use super::{CertificateError, PrivateKeyPem, Validity, ca::positive_serial, days, fingerprint};

/// How long a leaf lasts.
pub(super) const LEAF_LIFE: SignedDuration = days(90);

/// The DNS names under which a deployment's pods are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeafNames(Vec<String>);

impl LeafNames {
    /// The names of the Service and, by wildcard, of the pods behind the headless Service.
    pub(crate) fn of(deployment: &str, namespace: &str) -> Self {
        Self(vec![
            deployment.to_owned(),
            format!("{deployment}.{namespace}"),
            format!("{deployment}.{namespace}.svc"),
            format!("{deployment}.{namespace}.svc.cluster.local"),
            format!("*.{deployment}-pods.{namespace}.svc"),
            format!("*.{deployment}-pods.{namespace}.svc.cluster.local"),
        ])
    }
}

/// A new leaf, on its way into the Secret of its deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// The certificate.
    pub(crate) certificate_pem: String,
    /// Its key.
    pub(crate) key_pem: PrivateKeyPem,
    /// Lower-case hex SHA-256 of the certificate.
    pub(crate) fingerprint: String,
    /// When it ends.
    pub(crate) not_after: Timestamp,
}

pub(super) fn sign_leaf(
    issuer: &Issuer<'_, KeyPair>,
    names: &LeafNames,
    now: Timestamp,
) -> Result<Leaf, CertificateError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|source| CertificateError::GenerateKey { source })?;
    let validity = Validity::starting(now, LEAF_LIFE);
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, "Alcazar model port");
    for name in &names.0 {
        let text = name.as_str().try_into();
        let text = text.map_err(|source| CertificateError::InvalidName { name: name.clone(), source })?;
        params.subject_alt_names.push(SanType::DnsName(text));
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(positive_serial(&Sha256::digest(key.public_key_raw())));
    validity.write_to(&mut params);
    let certificate = params.signed_by(&key, issuer).map_err(|source| CertificateError::Sign { source })?;
    Ok(Leaf {
        fingerprint: fingerprint(certificate.der()),
        certificate_pem: certificate.pem(),
        key_pem: PrivateKeyPem(key.serialize_pem()),
        not_after: validity.not_after,
    })
}

/// Whether a client that trusts `ca` accepts the leaf as a server at that time.
pub(super) fn verifies(leaf: &CertificateDer<'_>, ca: &CertificateDer<'_>, at: UnixTime) -> bool {
    let Ok(anchor) = anchor_from_trusted_cert(ca) else { return false };
    let Ok(leaf) = EndEntityCert::try_from(leaf) else { return false };
    let algorithms = [ring::ECDSA_P256_SHA256];
    leaf.verify_for_usage(&algorithms, &[anchor], &[], at, KeyUsage::server_auth(), None, None).is_ok()
}

/// Whether a client finds every one of the names in the leaf.
pub(super) fn carries(leaf: &CertificateDer<'_>, names: &LeafNames) -> bool {
    let Ok(leaf) = EndEntityCert::try_from(leaf) else { return false };
    names.0.iter().all(|name| {
        // A wildcard is asked for by a name that it covers: pod names are `<ip with dashes>`.
        let asked = name.replacen("*.", "10-0-0-1.", 1);
        ServerName::try_from(asked).is_ok_and(|asked| leaf.verify_is_valid_for_subject_name(&asked).is_ok())
    })
}
