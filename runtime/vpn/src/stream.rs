//! Connections of peers as tokio's streams.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Accepted, vpn::Shared};

/// The listener of the tunnel's inside.
pub struct Acceptor {
    shared: Arc<Shared>,
}

impl Acceptor {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The next connection. Dropping the future loses none.
    pub async fn accept(&self) -> VpnStream {
        loop {
            if let Some(accepted) = self.shared.lock().accept() {
                return VpnStream { accepted, shared: Arc::clone(&self.shared) };
            }
            self.shared.arrival.notified().await;
        }
    }
}

/// One TCP connection of a peer. It fails with `ConnectionReset` once the peer is revoked.
pub struct VpnStream {
    accepted: Accepted,
    shared: Arc<Shared>,
}

impl VpnStream {
    /// The name of the peer it is of.
    pub fn peer(&self) -> &Arc<str> {
        &self.accepted.peer
    }

    /// Inside the tunnel.
    pub fn remote_address(&self) -> SocketAddr {
        self.accepted.remote.into()
    }

    /// Inside the tunnel.
    pub fn local_address(&self) -> SocketAddr {
        self.accepted.local.into()
    }
}

impl AsyncRead for VpnStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let read = self.shared.lock().read(self.accepted.id, buffer.initialize_unfilled(), context);
        let length = ready!(read)?;
        buffer.advance(length);
        self.shared.work.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for VpnStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = self.shared.lock().write(self.accepted.id, bytes, context);
        let length = ready!(written)?;
        self.shared.work.notify_one();
        Poll::Ready(Ok(length))
    }

    /// What is written is on its way already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        self.shared.lock().shutdown(self.accepted.id);
        self.shared.work.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl Drop for VpnStream {
    fn drop(&mut self) {
        self.shared.lock().leave(self.shared.now(), self.accepted.id);
        self.shared.work.notify_one();
    }
}
