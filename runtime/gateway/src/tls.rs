//! Certificates from mounted files that may change at any time.
//!
//! [`Serving`] is what clients see; [`Identity`] is what model pods and other replicas see. Connections that are open keep
//! what they began with, so a rotation costs no request.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use crate::settings::Protocol;

/// The kubelet itself needs up to a minute to bring a changed Secret into the pod.
pub(crate) const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// DNS name in the certificate of every replica.
pub(crate) const GATEWAY_NAME: &str = "alcazar-gateway";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("failed to parse {}: {source}; it must hold PEM", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("failed to find a certificate in {}", path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// The files do not belong together.
    #[error("failed to use the certificates in {}: {source}", dir.display())]
    Unusable {
        /// Where.
        dir: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The CA's certificates cannot be trusted.
    #[error("failed to trust {}: {source}", path.display())]
    Untrusted {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::server::VerifierBuilderError,
    },
}

/// What clients see.
#[derive(Debug)]
pub(crate) struct Serving {
    dir: PathBuf,
    current: RwLock<(Vec<Vec<u8>>, Arc<CertifiedKey>)>,
    provider: Arc<CryptoProvider>,
}

impl Serving {
    /// Reads `tls.crt` and `tls.key` of a directory.
    pub(crate) fn open(dir: &Path) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let files = read(dir, &[CERTIFICATE, KEY])?;
        let key = Arc::new(certified(dir, &files, &provider)?);
        Ok(Arc::new(Self { dir: dir.to_owned(), current: RwLock::new((files, key)), provider }))
    }

    /// Offers HTTP/2 and HTTP/1.1.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Unusable { dir: self.dir.clone(), source })?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again; true when they had changed. Files that are no good leave the old ones in use.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let files = read(&self.dir, &[CERTIFICATE, KEY])?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == files {
            return Ok(false);
        }
        let key = Arc::new(certified(&self.dir, &files, &self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (files, key);
        Ok(true)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).1))
    }
}

/// What model pods and other replicas see, and whom it trusts: the operator's CA and nobody else.
#[derive(Debug)]
pub(crate) struct Identity {
    dir: PathBuf,
    protocol: Protocol,
    current: RwLock<Loaded>,
    provider: Arc<CryptoProvider>,
}

#[derive(Clone, Debug)]
struct Loaded {
    files: Vec<Vec<u8>>,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Identity {
    /// Reads `tls.crt`, `tls.key` and `ca.crt` of a directory.
    pub(crate) fn open(dir: &Path, protocol: Protocol) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let loaded = Loaded::read(dir, protocol, &provider)?;
        Ok(Arc::new(Self { dir: dir.to_owned(), protocol, current: RwLock::new(loaded), provider }))
    }

    /// For calls.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).client)
    }

    /// For calls of other replicas.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).server))
    }

    /// As [`Serving::reload`].
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let files = read(&self.dir, &[CERTIFICATE, KEY, CA])?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).files == files {
            return Ok(false);
        }
        let loaded = Loaded::read(&self.dir, self.protocol, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }
}

impl Loaded {
    fn read(dir: &Path, protocol: Protocol, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let unusable = |source| TlsError::Unusable { dir: dir.to_owned(), source };
        let files = read(dir, &[CERTIFICATE, KEY, CA])?;
        let key = Arc::new(certified(dir, &files, provider)?);
        let mut roots = RootCertStore::empty();
        for certificate in certificates(dir, CA, &files[2])? {
            roots.add(certificate).map_err(unusable)?;
        }
        let roots = Arc::new(roots);
        let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
        let mut client = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(Arc::clone(&roots))
            .with_client_cert_resolver(Arc::clone(&resolver) as _);
        client.alpn_protocols = match protocol {
            Protocol::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
        };
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        let verifier = verifier.build().map_err(|source| TlsError::Untrusted { path: dir.join(CA), source })?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { files, client: Arc::new(client), server: Arc::new(server) })
    }
}

/// Whether a verified peer is a replica of the gateway, by the name in its certificate.
pub(crate) fn is_gateway(certificates: Option<&[CertificateDer<'_>]>) -> bool {
    let Some(leaf) = certificates.and_then(<[_]>::first) else { return false };
    let (Ok(leaf), Ok(name)) = (webpki::EndEntityCert::try_from(leaf), ServerName::try_from(GATEWAY_NAME)) else {
        return false;
    };
    leaf.verify_is_valid_for_subject_name(&name).is_ok()
}

/// Reloads both for as long as it is polled.
pub(crate) async fn keep_fresh(serving: &Serving, identity: &Identity, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        for (what, reloaded) in [("serving", serving.reload()), ("client", identity.reload())] {
            match reloaded {
                Ok(true) => tracing::info!(certificate = what, "a certificate was renewed"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, certificate = what, "TLS files changed and cannot be used; the old ones stay");
                }
            }
        }
    }
}

fn read(dir: &Path, names: &[&str]) -> Result<Vec<Vec<u8>>, TlsError> {
    let read = |name: &&str| {
        let path = dir.join(name);
        fs::read(&path).map_err(|source| TlsError::Read { path, source })
    };
    names.iter().map(read).collect()
}

fn certificates(dir: &Path, name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let path = dir.join(name);
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|source| TlsError::Parse { path: path.clone(), source })?;
    if all.is_empty() { Err(TlsError::NoCertificate { path }) } else { Ok(all) }
}

/// Fails also when certificate and key do not belong together, as in the middle of a change.
fn certified(dir: &Path, files: &[Vec<u8>], provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(dir, CERTIFICATE, &files[0])?;
    let key = PrivateKeyDer::from_pem_slice(&files[1]);
    let key = key.map_err(|source| TlsError::Parse { path: dir.join(KEY), source })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Unusable { dir: dir.to_owned(), source })
}
