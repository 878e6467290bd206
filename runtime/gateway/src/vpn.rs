//! The tunnel in front: peers of the cluster come in by WireGuard and reach the public API, and nothing else.

pub(crate) mod metrics;
pub(crate) mod peers;
mod status;

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc};

use alcazar_contract::{SERVICE_PORT, VPN_PORT};
use alcazar_vpn::{Acceptor, Config, KeyError, Limits, Peer, PrivateKey, Reader, VpnError, VpnStream};
use kube::Client;
use tokio::{sync::watch, task::JoinSet};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::{
    gateway::Gateway,
    listen::{Listener, Port},
    run::serve_public,
    settings,
    world::World,
};

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The key's file cannot be read.
    #[error("failed to read the VPN's private key {}: {source}", path.display())]
    ReadKey {
        /// As the settings name it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has something else.
    #[error("failed to use the VPN's private key {}: {source}", path.display())]
    Key {
        /// As the settings name it.
        path: PathBuf,
        /// Why; the text is not told.
        source: KeyError,
    },
    /// A setting is not what it must be.
    #[error("invalid settings: vpn.{field} is {found:?}; it must be {expected}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// What the file has.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// It cannot begin.
    #[error(transparent)]
    Start(#[from] VpnError),
}

impl Listener for Acceptor {
    type Stream = VpnStream;

    async fn accept(&mut self) -> io::Result<VpnStream> {
        let stream = Acceptor::accept(self).await;
        tracing::debug!(peer = %stream.peer(), "a peer connected through the tunnel");
        Ok(stream)
    }
}

/// A tunnel that listens and does not answer yet.
pub(crate) struct Tunnel {
    vpn: alcazar_vpn::Vpn,
    peers: watch::Sender<Vec<Peer>>,
}

impl Tunnel {
    /// None when the settings want none.
    pub(crate) async fn open(settings: &settings::Vpn) -> Result<Option<Self>, TunnelError> {
        if !settings.enabled {
            return Ok(None);
        }
        let listen = settings.listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], VPN_PORT)));
        let (peers, told) = watch::channel(Vec::new());
        let vpn = alcazar_vpn::Vpn::bind(listen, config(settings)?, told).await?;
        Ok(Some(Self { vpn, peers }))
    }

    /// Serves what comes through it as `port` serves; all of it ends with `tasks`.
    pub(crate) fn start<A>(
        self,
        port: Port<A>,
        gateway: Arc<Gateway>,
        client: Client,
        worlds: watch::Receiver<Arc<World>>,
        tasks: &mut JoinSet<()>,
    ) -> Reader
    where
        A: Fn() -> TlsAcceptor + Clone + Send + 'static,
    {
        let (acceptor, reader) = (self.vpn.acceptor(), self.vpn.reader());
        let vpn = self.vpn;
        tasks.spawn(async move {
            if let Err(error) = vpn.run().await {
                tracing::error!(%error, "the tunnel ended; peers are not answered until the gateway is started again");
            }
        });
        tasks.spawn(serve_public(acceptor, port, gateway));
        tasks.spawn(follow(self.peers, worlds.clone()));
        tasks.spawn(status::keep_written(client, reader.clone(), worlds));
        reader
    }
}

/// Tells the tunnel of each change of its peers.
async fn follow(peers: watch::Sender<Vec<Peer>>, mut worlds: watch::Receiver<Arc<World>>) {
    while worlds.changed().await.is_ok() {
        let now: Vec<Peer> = worlds.borrow_and_update().vpn_peers().iter().map(|listed| listed.peer.clone()).collect();
        peers.send_if_modified(|before| {
            let is_new = *before != now;
            *before = now;
            is_new
        });
    }
}

fn config(settings: &settings::Vpn) -> Result<Config, TunnelError> {
    let path = settings.private_key_file.clone();
    let text = fs::read_to_string(&path).map(Zeroizing::new);
    let text = text.map_err(|source| TunnelError::ReadKey { path: path.clone(), source })?;
    let private_key: PrivateKey = text.parse().map_err(|source| TunnelError::Key { path, source })?;
    let invalid = |field, found: &str, expected| TunnelError::Invalid { field, found: found.to_owned(), expected };
    let cidr =
        settings.cidr.parse().map_err(|_| invalid("cidr", &settings.cidr, "an IPv4 range such as 10.88.0.0/16"))?;
    let address =
        settings.address.parse().map_err(|_| invalid("address", &settings.address, "an IPv4 address of vpn.cidr"))?;
    Ok(Config { private_key, cidr, address, ports: vec![SERVICE_PORT], limits: Limits::default() })
}

#[cfg(test)]
mod tests;
