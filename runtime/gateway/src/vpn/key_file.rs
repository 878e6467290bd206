//! The VPN's private key, from a mounted file that may change at any time.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use alcazar_vpn::PrivateKey;
use zeroize::Zeroizing;

use super::TunnelError;

/// The key as the file had it last.
pub(super) struct KeyFile {
    path: PathBuf,
    key: PrivateKey,
}

impl KeyFile {
    pub(super) fn read(path: &Path) -> Result<Self, TunnelError> {
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| TunnelError::ReadKey { path: path.into(), source })?;
        let key = text.parse().map_err(|source| TunnelError::Key { path: path.into(), source })?;
        Ok(Self { path: path.into(), key })
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Until the file has another key. A file that is gone or no good leaves the old one in use.
    pub(super) async fn changed(&mut self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            match Self::read(&self.path) {
                Ok(now) if now.key.public() == self.key.public() => {}
                Ok(now) => {
                    *self = now;
                    return;
                }
                Err(error) => tracing::warn!(%error, "the VPN's key cannot be used; the old one stays"),
            }
        }
    }
}
