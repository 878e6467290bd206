//! Certificates of model ports and of the gateway. No client; the clock is passed in.

use std::net::IpAddr;

use alcazar_contract::gateway;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};

use super::{CertificateError, PrivateKeyPem, Validity, ca::positive_serial, days, fingerprint};

/// How long a leaf lasts.
pub(super) const LEAF_LIFE: SignedDuration = days(90);

/// What a leaf may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    /// A model port or the public API: serverAuth.
    Server,
    /// The gateway towards model pods and its own replicas: clientAuth and serverAuth. No model pod gets such a one.
    ClientAndServer,
}

/// Under which names the holder of a leaf is known, and what the leaf is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeafNames {
    /// DNS names and IP addresses.
    names: Vec<String>,
    usage: Usage,
}

impl LeafNames {
    /// A model port: the names of the Service and, by wildcard, of the pods behind the headless Service.
    pub(crate) fn of(deployment: &str, namespace: &str) -> Self {
        let mut names = service_names(deployment, namespace);
        names.push(format!("*.{deployment}-pods.{namespace}.svc"));
        names.push(format!("*.{deployment}-pods.{namespace}.svc.cluster.local"));
        Self { names, usage: Usage::Server }
    }

    /// What the gateway shows to model pods, and its replicas to each other.
    pub(crate) fn of_gateway_client() -> Self {
        Self { names: vec![gateway::CLIENT_NAME.to_owned()], usage: Usage::ClientAndServer }
    }

    /// The public API: the names of its Service, then further names and addresses.
    pub(crate) fn of_gateway(namespace: &str, further: impl IntoIterator<Item = String>) -> Self {
        let mut names = service_names(gateway::SERVICE, namespace);
        names.extend(further);
        Self { names, usage: Usage::Server }
    }
}

fn service_names(service: &str, namespace: &str) -> Vec<String> {
    vec![
        service.to_owned(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ]
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
    let organization = match names.usage {
        Usage::Server => "Alcazar",
        Usage::ClientAndServer => "Alcazar gateway",
    };
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.subject_alt_names = names.names.iter().map(|name| subject_name(name)).collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match names.usage {
        Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Usage::ClientAndServer => vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth],
    };
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

fn subject_name(name: &str) -> Result<SanType, CertificateError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let text = name.try_into();
    text.map(SanType::DnsName).map_err(|source| CertificateError::InvalidName { name: name.to_owned(), source })
}

/// Whether whoever trusts `ca` accepts the leaf at that time, for all that it is for.
pub(super) fn verifies(leaf: &CertificateDer<'_>, ca: &CertificateDer<'_>, names: &LeafNames, at: UnixTime) -> bool {
    let usages = match names.usage {
        Usage::Server => vec![KeyUsage::server_auth()],
        Usage::ClientAndServer => vec![KeyUsage::client_auth(), KeyUsage::server_auth()],
    };
    usages.into_iter().all(|usage| verifies_for(leaf, ca, at, usage))
}

fn verifies_for(leaf: &CertificateDer<'_>, ca: &CertificateDer<'_>, at: UnixTime, usage: KeyUsage) -> bool {
    let Ok(anchor) = anchor_from_trusted_cert(ca) else { return false };
    let Ok(leaf) = EndEntityCert::try_from(leaf) else { return false };
    let algorithms = [ring::ECDSA_P256_SHA256];
    leaf.verify_for_usage(&algorithms, &[anchor], &[], at, usage, None, None).is_ok()
}

/// Whether a client finds every one of the names in the leaf.
pub(super) fn carries(leaf: &CertificateDer<'_>, names: &LeafNames) -> bool {
    let Ok(leaf) = EndEntityCert::try_from(leaf) else { return false };
    names.names.iter().all(|name| {
        // A wildcard is asked for by a name that it covers: pod names are `<ip with dashes>`.
        let asked = name.replacen("*.", "10-0-0-1.", 1);
        ServerName::try_from(asked).is_ok_and(|asked| leaf.verify_is_valid_for_subject_name(&asked).is_ok())
    })
}
