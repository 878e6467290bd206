//! Who may call a model port that answers the gateway alone.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
};

use alcazar_contract::gateway::CLIENT_NAME;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime, pem::PemObject as _};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Tls, TlsError};

/// `id-kp-clientAuth` (RFC 5280, section 4.2.1.12). Asked for outright: the certificates of the model ports are of the
/// same authority, and so might be one that names no use at all.
const CLIENT_AUTH: [u8; 8] = [43, 6, 1, 5, 5, 7, 3, 2];

/// The authorities of a bundle.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots(Arc<[TrustAnchor<'static>]>);

impl Roots {
    pub(super) fn parse(path: &Path, pem: &[u8]) -> Result<Self, TlsError> {
        let unusable = |source| TlsError::Authority { path: path.to_owned(), source };
        let certificates = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| TlsError::Parse { path: path.to_owned(), source })?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate { path: path.to_owned() });
        }
        let anchors = certificates.iter().map(|ca| anchor_from_trusted_cert(ca).map(|anchor| anchor.to_owned()));
        Ok(Self(anchors.collect::<Result<Vec<_>, _>>().map_err(unusable)?.into()))
    }
}

/// Accepts a certificate of an authority that is trusted at this moment, made for clients, with the gateway's name.
#[derive(Debug)]
pub(super) struct GatewayVerifier(Arc<Tls>);

impl GatewayVerifier {
    pub(super) fn new(tls: Arc<Tls>) -> Self {
        Self(tls)
    }

    fn roots(&self) -> Roots {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).roots.clone()
    }
}

impl ClientCertVerifier for GatewayVerifier {
    /// No hint: the authorities change under the listener, and a gateway has one certificate to show.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refuse = |source: webpki::Error| {
            let cause = CertificateError::Other(rustls::OtherError(Arc::new(source)));
            Error::InvalidCertificate(cause)
        };
        let leaf = EndEntityCert::try_from(certificate).map_err(refuse)?;
        let (algorithms, roots) = (self.0.provider.signature_verification_algorithms.all, self.roots());
        let usage = KeyUsage::required(&CLIENT_AUTH);
        leaf.verify_for_usage(algorithms, &roots.0, intermediates, now, usage, None, None).map_err(refuse)?;
        let name = ServerName::try_from(CLIENT_NAME)
            .map_err(|_| Error::InvalidCertificate(CertificateError::NotValidForName))?;
        leaf.verify_is_valid_for_subject_name(&name).map_err(refuse)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
