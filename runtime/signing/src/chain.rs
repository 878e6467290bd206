//! Certificates: from the signer's to a root that is trusted.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject as _};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
};

use crate::{
    PublicKey,
    error::{SignatureError, excerpt},
};

/// Body of the object identifier 1.3.6.1.5.5.7.3.3.
const CODE_SIGNING: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 3];

/// Whom a signer's certificate must lead to, and whose it must be.
#[derive(Clone, Debug)]
pub struct Roots {
    anchors: Vec<TrustAnchor<'static>>,
    identity: Option<String>,
}

impl Roots {
    /// From certificates in PEM. `identity`: the subject alternative name (mail address, DNS name or URI) that the
    /// signer's certificate must have; without one, everybody counts whom the roots vouch for.
    pub fn from_pem(text: &str, identity: Option<&str>) -> Result<Self, SignatureError> {
        let mut anchors = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let certificate = certificate
                .map_err(|error| SignatureError::key(format!("the roots are no certificates in PEM: {error}")))?;
            let anchor = anchor_from_trusted_cert(&certificate)
                .map_err(|error| SignatureError::key(format!("a root cannot be used: {error}")))?;
            anchors.push(anchor.to_owned());
        }
        if anchors.is_empty() {
            return Err(SignatureError::key("found no root, expected one certificate in PEM or more"));
        }
        let identity = identity.map(str::trim).filter(|identity| !identity.is_empty()).map(str::to_owned);
        Ok(Self { anchors, identity })
    }

    /// The key of the first certificate and whose it is, when `certificates` (DER) lead to a root at `now`.
    ///
    /// The time in question is now: a bundle carries no proof of when it was made, so an old date in it would only
    /// keep stolen keys alive.
    pub(crate) fn verify(
        &self,
        certificates: &[Vec<u8>],
        now: UnixTime,
    ) -> Result<(PublicKey, String), SignatureError> {
        let Some((first, others)) = certificates.split_first() else {
            let fault =
                "it was made with a bare key, expected a certificate; sign with `--certificate`, or trust the key";
            return Err(SignatureError::not_of_signer(fault));
        };
        let first = CertificateDer::from(first.as_slice());
        let others: Vec<CertificateDer<'_>> =
            others.iter().map(|certificate| CertificateDer::from(certificate.as_slice())).collect();
        let leaf = EndEntityCert::try_from(&first)
            .map_err(|error| SignatureError::not_of_signer(format!("the certificate is not sound: {error}")))?;
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &self.anchors,
            &others,
            now,
            // One that names no purpose is told by its key usage, below.
            KeyUsage::required_if_present(&CODE_SIGNING),
            None,
            None,
        )
        .map_err(|error| {
            let fault = format!("the certificate does not lead to the trusted roots: {error}; sign with one that does");
            SignatureError::not_of_signer(fault)
        })?;
        let (_, parsed) = X509Certificate::from_der(&first)
            .map_err(|error| SignatureError::not_of_signer(format!("the certificate is not sound: {error}")))?;
        require_signing(&parsed)?;
        let names = alternative_names(&parsed);
        if let Some(identity) = &self.identity
            && !names.contains(identity)
        {
            let found = names.iter().map(|name| excerpt(name)).collect::<Vec<_>>().join(", ");
            let fault = format!("the certificate is of '{found}', expected '{}'", excerpt(identity));
            return Err(SignatureError::not_of_signer(fault));
        }
        let subject = self.identity.clone().or_else(|| names.into_iter().next());
        let subject = subject.unwrap_or_else(|| parsed.subject().to_string());
        Ok((PublicKey::from_der(parsed.public_key().raw)?, subject.chars().take(256).collect()))
    }
}

/// The key must be for signatures, by its usage or its purpose, as the reference implementation has it.
fn require_signing(certificate: &X509Certificate<'_>) -> Result<(), SignatureError> {
    let signs = certificate.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::KeyUsage(usage) => usage.digital_signature(),
        ParsedExtension::ExtendedKeyUsage(purposes) => purposes.code_signing,
        _ => false,
    });
    if signs {
        return Ok(());
    }
    let fault =
        "the certificate is not for signatures; expected the key usage digitalSignature or the purpose codeSigning";
    Err(SignatureError::not_of_signer(fault))
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::RFC822Name(name) | GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}
