//! TLS of the model port, from mounted files that may change at any time.

mod gateway;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use self::gateway::{GatewayVerifier, Roots};
use crate::cli::Clients;

/// The kubelet itself needs up to a minute to bring a changed Secret into the pod.
pub(crate) const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// The authorities whose certificates are accepted of clients; it may hold several while one takes over from another.
const CA_CRT: &str = "ca.crt";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("failed to read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("failed to parse {}: {source}; it must hold PEM", path.display())]
    Parse { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("failed to find a certificate in {}", path.display())]
    NoCertificate { path: PathBuf },
    #[error("failed to use an authority in {}: {source}", path.display())]
    Authority { path: PathBuf, source: webpki::Error },
    #[error("failed to use the certificate and key in {}: {source}", dir.display())]
    Unusable { dir: PathBuf, source: rustls::Error },
}

/// The certificate in use, and the authorities of clients where those are judged; connections that are open keep what
/// they began with.
#[derive(Debug)]
pub(crate) struct Tls {
    dir: PathBuf,
    clients: Clients,
    current: RwLock<Current>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Current {
    files: Files,
    key: Arc<CertifiedKey>,
    /// Empty where nobody is asked who he is.
    roots: Roots,
}

#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    /// None where nobody is asked who he is.
    authorities: Option<Vec<u8>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files(..)")
    }
}

impl Tls {
    /// Reads `tls.crt` and `tls.key` of a directory, and `ca.crt` where clients are to show who they are.
    pub(crate) fn open(dir: &Path, clients: Clients) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let current = Current::parse(dir, Files::read(dir, clients)?, &provider)?;
        Ok(Arc::new(Self { dir: dir.to_owned(), clients, current: RwLock::new(current), provider }))
    }

    /// Reads the files again; true when they had changed. Files that are no good leave the old ones in use.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.dir, self.clients)?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).files == files {
            return Ok(false);
        }
        let current = Current::parse(&self.dir, files, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(true)
    }

    /// Reloads for as long as it is polled.
    pub(crate) async fn keep_fresh(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            match self.reload() {
                Ok(true) => tracing::info!("the TLS certificate was renewed"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the TLS files changed and cannot be used; the old certificate stays");
                }
            }
        }
    }

    /// Offers HTTP/2 and HTTP/1.1.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Unusable { dir: self.dir.clone(), source })?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let builder = match self.clients {
            Clients::Any => builder.with_no_client_auth(),
            Clients::Gateway => {
                let verifier: Arc<dyn ClientCertVerifier> = Arc::new(GatewayVerifier::new(Arc::clone(self)));
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(resolver);
        if self.clients == Clients::Gateway {
            // A resumed session shows no certificate, so an authority that is no longer trusted would live on in it.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl Current {
    fn parse(dir: &Path, files: Files, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let key = Arc::new(parse(dir, &files, provider)?);
        let roots = match &files.authorities {
            Some(pem) => Roots::parse(&dir.join(CA_CRT), pem)?,
            None => Roots::default(),
        };
        Ok(Self { files, key, roots })
    }
}

impl Files {
    fn read(dir: &Path, clients: Clients) -> Result<Self, TlsError> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|source| TlsError::Read { path, source })
        };
        let authorities = (clients == Clients::Gateway).then(|| read(CA_CRT)).transpose()?;
        Ok(Self { certificate: read("tls.crt")?, key: read("tls.key")?, authorities })
    }
}

/// Fails also when certificate and key do not belong together, as in the middle of a change.
fn parse(dir: &Path, files: &Files, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let at = |name: &str, source| TlsError::Parse { path: dir.join(name), source };
    let chain = CertificateDer::pem_slice_iter(&files.certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| at("tls.crt", source))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: dir.join("tls.crt") });
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|source| at("tls.key", source))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Unusable { dir: dir.to_owned(), source })
}

#[cfg(test)]
mod tests;
