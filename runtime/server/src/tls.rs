//! TLS of the model port, from mounted files that may change at any time.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

/// The kubelet itself needs up to a minute to bring a changed Secret into the pod.
pub(crate) const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("failed to read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("failed to parse {}: {source}; it must hold PEM", path.display())]
    Parse { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("failed to find a certificate in {}", path.display())]
    NoCertificate { path: PathBuf },
    #[error("failed to use the certificate and key in {}: {source}", dir.display())]
    Unusable { dir: PathBuf, source: rustls::Error },
}

/// The certificate in use; connections that are open keep the one they began with.
#[derive(Debug)]
pub(crate) struct Tls {
    dir: PathBuf,
    current: RwLock<Current>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Current {
    files: Files,
    key: Arc<CertifiedKey>,
}

#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files(..)")
    }
}

impl Tls {
    /// Reads `tls.crt` and `tls.key` of a directory.
    pub(crate) fn open(dir: &Path) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let files = Files::read(dir)?;
        let key = Arc::new(parse(dir, &files, &provider)?);
        Ok(Arc::new(Self { dir: dir.to_owned(), current: RwLock::new(Current { files, key }), provider }))
    }

    /// Reads the files again; true when they had changed. Files that are no good leave the old ones in use.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.dir)?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).files == files {
            return Ok(false);
        }
        let key = Arc::new(parse(&self.dir, &files, &self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { files, key };
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
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl Files {
    fn read(dir: &Path) -> Result<Self, TlsError> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|source| TlsError::Read { path, source })
        };
        Ok(Self { certificate: read("tls.crt")?, key: read("tls.key")? })
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
