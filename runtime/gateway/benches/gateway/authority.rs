//! A certificate authority and what it signed.

use std::{fs, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tempfile::TempDir;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A CA and what it signed, in files.
pub(crate) struct Authority {
    pub(crate) dir: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a leaf with its issuer's name for self-signed.
        params.distinguished_name.push(DnType::CommonName, "the bench's authority");
        let ca = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        let dir = tempfile::tempdir().expect("a directory");
        for (name, dns) in [
            ("client", "alcazar-gateway"),
            ("tls", "gateway.test"),
            ("pod", "assistant.team-a.svc"),
            ("broken", "broken.team-a.svc"),
        ] {
            let key = KeyPair::generate().expect("a key");
            let names = vec![dns.to_owned(), "gateway.test".to_owned()];
            let mut params = CertificateParams::new(names).expect("names");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
            let leaf = params.signed_by(&key, &issuer).expect("a certificate");
            let at = dir.path().join(name);
            fs::create_dir(&at).expect("a directory");
            fs::write(at.join("tls.crt"), leaf.pem()).expect("a file");
            fs::write(at.join("tls.key"), key.serialize_pem()).expect("a file");
            fs::write(at.join("ca.crt"), &ca).expect("a file");
        }
        Self { dir }
    }

    fn parts(&self, name: &str) -> (Arc<RootCertStore>, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let read = |file: &str| fs::read(self.dir.path().join(name).join(file)).expect("a file");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&read("ca.crt")).expect("PEM")).expect("a root");
        let chain = vec![CertificateDer::from_pem_slice(&read("tls.crt")).expect("PEM")];
        (Arc::new(roots), chain, PrivateKeyDer::from_pem_slice(&read("tls.key")).expect("PEM"))
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        let (roots, chain, key) = self.parts("client");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
        let mut config = builder.with_client_auth_cert(chain, key).expect("a certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    /// Of a pod with this certificate, which answers holders of certificates of the authority alone.
    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let (roots, chain, key) = self.parts(name);
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().expect("roots");
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("versions").with_client_cert_verifier(verifier);
        let mut config = builder.with_single_cert(chain, key).expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}
