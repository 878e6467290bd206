//! One connection, and how its socket is set up.

use std::time::Duration;

use smoltcp::{
    iface::SocketHandle,
    socket::tcp::{CongestionControl, Socket, SocketBuffer},
    time::Duration as Span,
};

use crate::Limits;

/// A peer that is silent this long is asked, and its connections end when it stays silent.
const KEEP_ALIVE: Span = Span::from_secs(30);
const SILENCE: Span = Span::from_secs(100);

/// A Linux socket as it comes holds 92 datagrams of full size (212,992 bytes with the kernel's own), 124 KiB of TCP's data: the least
/// window stays well below.
const LEAST_WINDOW: usize = 80 << 10;
const WINDOW_PER_SECOND: usize = 25_600_000;

/// Whose business a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The handshake goes on.
    Nobody,
    /// A stream, or the queue of those to be taken.
    Stream,
    /// The stream was dropped; what it wrote is still to be sent.
    Left,
}

pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) socket: SocketHandle,
    pub(super) remote_port: u16,
    pub(super) local_port: u16,
    pub(super) holder: Holder,
    /// When the holder became so.
    pub(super) since: Duration,
    /// Bytes that may be on their way at once; 0 before the handshake is done.
    pub(super) window: usize,
}

/// A connection whose handshake is done.
#[derive(Clone, Copy)]
pub(crate) struct Opened {
    pub(crate) id: u64,
    pub(crate) remote_port: u16,
    pub(crate) local_port: u16,
}

impl Connection {
    /// Its handshake is done.
    pub(super) fn taken(&mut self, now: Duration) -> Opened {
        self.window = window(now.saturating_sub(self.since));
        self.holder = Holder::Stream;
        self.since = now;
        Opened { id: self.id, remote_port: self.remote_port, local_port: self.local_port }
    }
}

pub(super) fn socket(limits: &Limits) -> Socket<'static> {
    let mut socket =
        Socket::new(SocketBuffer::new(vec![0; limits.receive_bytes]), SocketBuffer::new(vec![0; limits.send_bytes]));
    socket.set_congestion_control(CongestionControl::Cubic);
    // An answer's tokens go out as they come.
    socket.set_nagle_enabled(false);
    socket.set_keep_alive(Some(KEEP_ALIVE));
    socket.set_timeout(Some(SILENCE));
    socket
}

/// What fits a path that took `round_trip` for the handshake. TCP finds a path's limit by losing packets, and smoltcp waits a second
/// when more than one is lost; on a short path, that limit is the buffer of the peer's program, and the least window fills the path.
fn window(round_trip: Duration) -> usize {
    let per_millisecond = WINDOW_PER_SECOND / 1000;
    usize::try_from(round_trip.as_millis())
        .map_or(usize::MAX, |time| time.saturating_mul(per_millisecond))
        .max(LEAST_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_path_holds_more() {
        let windows = [0, 1, 4, 10, 100].map(|time| window(Duration::from_millis(time)) >> 10);
        assert_eq!(windows, [80, 80, 100, 250, 2500]);
        assert!(
            window(Duration::from_millis(11)) > Limits::default().send_bytes,
            "from here on the buffer is the limit"
        );
        assert_eq!(window(Duration::MAX), usize::MAX);
    }
}
