//! The UDP socket. Many datagrams go with one call of the system, since a call for each costs more than its encryption: a run of
//! datagrams of one size is cut into them by the kernel (UDP_SEGMENT), and such runs come back whole (UDP_GRO; udp(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::SocketAddr,
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
        sockopt::UdpGroSegment,
    },
};
use tokio::{io::Interest, net::UdpSocket};

use crate::outgoing::Run;

/// Bytes that one call can bring.
pub(crate) const RECEIVE_BYTES: usize = 1 << 16;

/// What one call brought: `bytes` in datagrams of `size`, the last of which may be smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) from: SocketAddr,
    pub(crate) bytes: usize,
    pub(crate) size: usize,
}

pub(crate) struct Socket(UdpSocket);

impl Socket {
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        // A system that cannot do it gives every datagram by itself.
        let _ = setsockopt(&socket, UdpGroSegment, &true);
        Ok(Self(socket))
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    /// Takes what waits, without waiting for it.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.0.try_io(Interest::READABLE, || {
            let mut room = cmsg_space!(i32);
            let mut buffers = [IoSliceMut::new(buffer)];
            let message =
                recvmsg::<SockaddrStorage>(self.0.as_raw_fd(), &mut buffers, Some(&mut room), MsgFlags::empty())?;
            let size = message.cmsgs()?.find_map(|one| match one {
                ControlMessageOwned::UdpGroSegments(size) => usize::try_from(size).ok().filter(|size| *size > 0),
                _ => None,
            });
            let from = message.address.as_ref().and_then(address).ok_or(io::ErrorKind::InvalidData)?;
            Ok(Received { from, bytes: message.bytes, size: size.unwrap_or(message.bytes.max(1)) })
        })
    }

    /// Waits while the system's buffer is full; returns how many datagrams the system did not take.
    pub(crate) async fn send(&self, run: Run<'_>) -> u64 {
        if run.datagrams().len() == 1 {
            return u64::from(self.send_once(run).await.is_err());
        }
        if self.send_once(run).await.is_ok() {
            return 0;
        }
        // A run must fit the path's MTU, and its device must be able to cut; one datagram needs neither.
        let mut failed = 0;
        for datagram in run.datagrams() {
            failed += u64::from(self.send_once(Run { bytes: datagram, ..run }).await.is_err());
        }
        failed
    }

    async fn send_once(&self, run: Run<'_>) -> io::Result<()> {
        let size = u16::try_from(run.size).map_err(|_| io::ErrorKind::InvalidInput)?;
        let cut = [ControlMessage::UdpGsoSegments(&size)];
        let control = if run.bytes.len() > run.size { &cut[..] } else { &[] };
        let to = SockaddrStorage::from(run.to);
        let buffers = [IoSlice::new(run.bytes)];
        loop {
            let sent = self.0.try_io(Interest::WRITABLE, || {
                Ok(sendmsg(self.0.as_raw_fd(), &buffers, control, MsgFlags::empty(), Some(&to))?)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.writable().await?,
                sent => return sent.map(drop),
            }
        }
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

#[cfg(test)]
mod tests;
