//! The tunnel in front: peers of the cluster come in by WireGuard and reach the public API, and nothing else.

mod key_file;
pub(crate) mod metrics;
pub(crate) mod peers;
mod status;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use alcazar_contract::{SERVICE_PORT, VPN_PORT};
use alcazar_vpn::{Acceptor, Config, KeyError, Limits, Peer, PrivateKey, Reader, VpnError, VpnStream};
use kube::Client;
use tokio::{sync::watch, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use self::key_file::KeyFile;
use crate::{
    gateway::Gateway,
    listen::{Listener, Port},
    run::serve_public,
    settings,
    world::World,
};

/// Before a tunnel that failed is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

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
    settings: settings::Vpn,
    key: KeyFile,
    socket: Socket,
}

/// What is around the tunnel.
pub(crate) struct Around<A> {
    /// What comes through is served as this port serves.
    pub(crate) port: Port<A>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) client: Client,
    pub(crate) worlds: watch::Receiver<Arc<World>>,
    /// How often the key's file is looked at.
    pub(crate) reload_every: Duration,
}

impl Tunnel {
    /// None when the settings want none.
    pub(crate) async fn open(settings: &settings::Vpn) -> Result<Option<Self>, TunnelError> {
        if !settings.enabled {
            return Ok(None);
        }
        let key = KeyFile::read(&settings.private_key_file)?;
        let socket = Socket::bind(settings, key.key()).await?;
        Ok(Some(Self { settings: settings.clone(), key, socket }))
    }

    /// Keeps it open until `tasks` end. What it counts is told; nothing while it is closed.
    pub(crate) fn start<A>(self, around: Around<A>, tasks: &mut JoinSet<()>) -> watch::Receiver<Option<Reader>>
    where
        A: Fn() -> TlsAcceptor + Clone + Send + Sync + 'static,
    {
        let (told, reader) = watch::channel(None);
        tasks.spawn(self.keep_open(around, told));
        reader
    }

    /// A tunnel that failed is opened again here: ending the program would end the streams of those who come without one. One
    /// with another key is opened anew, since no session under the old key can go on.
    async fn keep_open<A>(mut self, around: Around<A>, told: watch::Sender<Option<Reader>>)
    where
        A: Fn() -> TlsAcceptor + Clone + Send + Sync + 'static,
    {
        let close = around.port.close.clone();
        loop {
            let (reader, mut tasks) = self.socket.serve(&around);
            told.send_replace(Some(reader));
            tokio::select! {
                _ = tasks.join_next() => {
                    if close.is_cancelled() {
                        // The last connections go on through what still runs.
                        return std::future::pending().await;
                    }
                    tracing::error!("a part of the tunnel failed; it is opened again");
                    told.send_replace(None);
                    tokio::time::sleep(REOPEN_PAUSE).await;
                }
                () = self.key.changed(around.reload_every) => {
                    tracing::info!("the VPN's key changed; the tunnel is opened anew, and peers need new files");
                    told.send_replace(None);
                }
            }
            tasks.shutdown().await;
            self.socket = loop {
                match Socket::bind(&self.settings, self.key.key()).await {
                    Ok(socket) => break socket,
                    Err(error) => tracing::error!(%error, "failed to open the tunnel; it is tried again"),
                }
                tokio::time::sleep(REOPEN_PAUSE).await;
            };
        }
    }
}

/// From a bound socket to its end.
struct Socket {
    vpn: alcazar_vpn::Vpn,
    peers: watch::Sender<Vec<Peer>>,
}

impl Socket {
    async fn bind(settings: &settings::Vpn, key: &PrivateKey) -> Result<Self, TunnelError> {
        let listen = settings.listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], VPN_PORT)));
        let (peers, told) = watch::channel(Vec::new());
        let vpn = alcazar_vpn::Vpn::bind(listen, config(settings, key)?, told).await?;
        Ok(Self { vpn, peers })
    }

    /// All of it ends with the set.
    fn serve<A>(self, around: &Around<A>) -> (Reader, JoinSet<()>)
    where
        A: Fn() -> TlsAcceptor + Clone + Send + Sync + 'static,
    {
        let Self { vpn, peers } = self;
        let (acceptor, reader, mut tasks) = (vpn.acceptor(), vpn.reader(), JoinSet::new());
        tasks.spawn(async move {
            if let Err(error) = vpn.run().await {
                tracing::error!(%error, "the tunnel ended");
            }
        });
        tasks.spawn(serve_public(acceptor, around.port.clone(), Arc::clone(&around.gateway)));
        tasks.spawn(follow(peers, around.worlds.clone()));
        tasks.spawn(status::keep_written(around.client.clone(), reader.clone(), around.worlds.clone()));
        (reader, tasks)
    }
}

/// Tells the tunnel of each change of its peers.
async fn follow(peers: watch::Sender<Vec<Peer>>, mut worlds: watch::Receiver<Arc<World>>) {
    worlds.mark_changed();
    while worlds.changed().await.is_ok() {
        let now: Vec<Peer> = worlds.borrow_and_update().vpn_peers().iter().map(|listed| listed.peer.clone()).collect();
        peers.send_if_modified(|before| {
            let is_new = *before != now;
            *before = now;
            is_new
        });
    }
}

fn config(settings: &settings::Vpn, key: &PrivateKey) -> Result<Config, TunnelError> {
    let invalid = |field, found: &str, expected| TunnelError::Invalid { field, found: found.to_owned(), expected };
    let cidr =
        settings.cidr.parse().map_err(|_| invalid("cidr", &settings.cidr, "an IPv4 range such as 10.88.0.0/16"))?;
    let address =
        settings.address.parse().map_err(|_| invalid("address", &settings.address, "an IPv4 address of vpn.cidr"))?;
    let private_key = key.clone();
    Ok(Config { private_key, cidr, address, ports: vec![SERVICE_PORT], limits: Limits::default() })
}

#[cfg(test)]
mod tests;
