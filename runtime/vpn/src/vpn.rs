//! Drives an endpoint over a UDP socket.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{Notify, watch};

use crate::{
    Acceptor, Config, ConfigError, Endpoint, Now, Outgoing, Peer, Snapshot,
    socket::{RECEIVE_BYTES, Received, Socket},
};

/// Timers of WireGuard, expiry of peers.
const TICK: Duration = Duration::from_millis(500);
/// Datagrams before those that are to go have their turn.
const BATCH: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum VpnError {
    #[error("the VPN cannot be set up: {0}")]
    Config(#[from] ConfigError),
    #[error("the system gave no randomness for the VPN")]
    NoRandomness,
    #[error("the VPN cannot listen on UDP {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the VPN's socket failed: {0}")]
    Socket(io::Error),
}

/// What streams and the driver have in common.
pub(crate) struct Shared {
    endpoint: Mutex<Endpoint>,
    /// A stream left something to do.
    pub(crate) work: Notify,
    /// A connection can be accepted.
    pub(crate) arrival: Notify,
    started: Instant,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Endpoint> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Now { elapsed: self.started.elapsed(), unix }
    }
}

/// What was counted, whenever it is asked for.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

impl Reader {
    pub fn snapshot(&self) -> Snapshot {
        self.0.lock().snapshot(self.0.now())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// An endpoint on a socket. Dropped, it ends every session and stream.
pub struct Vpn {
    socket: Socket,
    peers: watch::Receiver<Vec<Peer>>,
    shared: Arc<Shared>,
}

impl Vpn {
    /// Listens on `address`; nothing is answered before [`Vpn::run`].
    pub async fn bind(
        address: SocketAddr,
        config: Config,
        peers: watch::Receiver<Vec<Peer>>,
    ) -> Result<Self, VpnError> {
        config.check()?;
        getrandom::u64().map_err(|_| VpnError::NoRandomness)?;
        let socket = Socket::bind(address).await.map_err(|source| VpnError::Listen { address, source })?;
        // The source answered above, so a zero is only what a system on its way down gives.
        let endpoint = Endpoint::new(config, Box::new(|| getrandom::u64().unwrap_or_default()));
        let shared = Shared {
            endpoint: Mutex::new(endpoint),
            work: Notify::new(),
            arrival: Notify::new(),
            started: Instant::now(),
        };
        Ok(Self { socket, peers, shared: Arc::new(shared) })
    }

    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_address()
    }

    /// Where accepted connections come out.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor::new(Arc::clone(&self.shared))
    }

    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shared))
    }

    /// Until the future is dropped, or the socket fails.
    pub async fn run(mut self) -> Result<(), VpnError> {
        let (mut sending, mut buffer) = (Outgoing::default(), vec![0; RECEIVE_BYTES]);
        let mut next_tick = Duration::ZERO;
        self.peers.mark_changed();
        loop {
            self.follow_peers();
            if self.shared.now().elapsed >= next_tick {
                self.shared.lock().tick(self.shared.now());
                next_tick = self.shared.now().elapsed + TICK;
            }
            let received = self.receive(&mut buffer)?;
            let due = self.advance(&mut sending).map_or(next_tick, |due| due.min(next_tick));
            self.send(&sending).await;
            if received || !sending.is_empty() {
                // The socket was ready all along: others of this thread have a turn, too.
                tokio::task::yield_now().await;
            } else {
                self.wait(due).await?;
            }
        }
    }

    fn follow_peers(&mut self) {
        // An error says that the list will not change any more; the last one stays in force.
        if self.peers.has_changed().unwrap_or(false) {
            let peers = self.peers.borrow_and_update().clone();
            self.shared.lock().set_peers(self.shared.now(), &peers);
        }
    }

    /// Until something is to be done, at `due` at the latest.
    async fn wait(&mut self, due: Duration) -> Result<(), VpnError> {
        let left = due.saturating_sub(self.shared.now().elapsed);
        tokio::select! {
            ready = self.socket.readable() => ready.map_err(VpnError::Socket),
            () = self.shared.work.notified() => Ok(()),
            () = tokio::time::sleep(left) => Ok(()),
            Ok(()) = self.peers.changed() => {
                self.peers.mark_changed();
                Ok(())
            }
        }
    }

    /// Takes what came; false if it was nothing.
    fn receive(&self, buffer: &mut [u8]) -> Result<bool, VpnError> {
        let mut taken = 0;
        while taken < BATCH {
            match self.socket.try_receive(buffer) {
                Ok(received) => taken += self.deliver(received, &buffer[..received.bytes]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken > 0),
                // Of a datagram sent before, to a port where nobody listens any more.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(VpnError::Socket(error)),
            }
        }
        Ok(true)
    }

    fn deliver(&self, received: Received, bytes: &[u8]) -> usize {
        let (mut endpoint, now) = (self.shared.lock(), self.shared.now());
        let datagrams = bytes.chunks(received.size);
        let count = datagrams.len();
        datagrams.for_each(|datagram| endpoint.receive(now, received.from, datagram));
        count
    }

    fn advance(&self, sending: &mut Outgoing) -> Option<Duration> {
        let mut endpoint = self.shared.lock();
        let due = endpoint.poll(self.shared.now());
        endpoint.swap_outgoing(sending);
        if endpoint.has_arrivals() {
            self.shared.arrival.notify_one();
        }
        due
    }

    async fn send(&self, sending: &Outgoing) {
        for run in sending.runs() {
            let failed = self.socket.send(run).await;
            if failed > 0 {
                self.shared.lock().count_send_failures(failed);
            }
        }
    }
}

impl Drop for Vpn {
    fn drop(&mut self) {
        self.shared.lock().set_peers(self.shared.now(), &[]);
    }
}

#[cfg(test)]
mod tests;
