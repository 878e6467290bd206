//! TCP of one peer. A stack for each keeps them apart: a peer's connections are looked up, polled and limited among its own.

use std::{
    io,
    net::Ipv4Addr,
    task::{Context, Poll},
    time::Duration,
};

use smoltcp::{
    iface::{Config, Interface, PollResult, SocketSet},
    socket::tcp::{RecvError, Socket, State},
    time::Instant,
    wire::{HardwareAddress, IpCidr, IpEndpoint},
};

use crate::{Cause, Limits, Segment, link::Link};

mod connection;

pub(crate) use connection::Opened;
use connection::{Connection, Holder, socket};

/// Connections of all peers, and the next one's number.
pub(crate) struct Pool {
    pub(crate) used: usize,
    pub(crate) next: u64,
}

pub(crate) struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
}

impl Stack {
    /// A stack at `address` whose only neighbour is `peer`.
    pub(crate) fn new(address: Ipv4Addr, peer: Ipv4Addr, seed: u64, now: Duration, link: &mut Link) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, link, instant(now));
        interface.update_ip_addrs(|addresses| {
            // The list is empty and holds more than one, so this cannot fail.
            let _ = addresses.push(IpCidr::new(address.into(), 32));
        });
        let _ = interface.routes_mut().add_default_ipv4_route(peer);
        Self { interface, sockets: SocketSet::new(Vec::new()), connections: Vec::new() }
    }

    /// Makes room for the connection that `segment` asks for; nothing if it is there already.
    pub(crate) fn open(
        &mut self,
        now: Duration,
        address: Ipv4Addr,
        segment: Segment,
        limits: &Limits,
        pool: &mut Pool,
    ) -> Result<(), Cause> {
        let ports = (segment.remote_port, segment.local_port);
        if let Some(place) = self.connections.iter().position(|one| (one.remote_port, one.local_port) == ports) {
            if !self.is_over(place) {
                return Ok(());
            }
            self.remove(place, pool);
        }
        if self.connections.len() >= limits.connections_per_peer {
            self.evict(pool);
        }
        let half_open = self.connections.iter().filter(|one| one.holder == Holder::Nobody).count();
        if self.connections.len() >= limits.connections_per_peer
            || half_open >= limits.half_open_per_peer
            || pool.used >= limits.connections
        {
            return Err(Cause::TooManyConnections);
        }
        let mut socket = socket(limits);
        socket.listen(IpEndpoint::new(address.into(), segment.local_port)).map_err(|_| Cause::ForeignPort)?;
        pool.used += 1;
        pool.next += 1;
        self.connections.push(Connection {
            id: pool.next,
            socket: self.sockets.add(socket),
            remote_port: segment.remote_port,
            local_port: segment.local_port,
            holder: Holder::Nobody,
            since: now,
            window: 0,
        });
        Ok(())
    }

    /// Takes the link's packet; returns the connections whose handshake it finished.
    pub(crate) fn receive(&mut self, now: Duration, link: &mut Link, pool: &mut Pool) -> Vec<Opened> {
        self.interface.poll_ingress_single(instant(now), link, &mut self.sockets);
        let mut opened = Vec::new();
        for place in (0..self.connections.len()).rev() {
            if self.connections[place].holder != Holder::Nobody {
                continue;
            }
            match self.state(place) {
                // What opened it was no proper SYN.
                State::Listen => self.remove(place, pool),
                State::SynReceived | State::SynSent | State::Closed => {}
                _ => opened.push(self.connections[place].taken(now)),
            }
        }
        opened
    }

    /// Sends what there is to send. Returns when to come again, None for when something comes.
    pub(crate) fn poll(
        &mut self,
        now: Duration,
        link: &mut Link,
        limits: &Limits,
        pool: &mut Pool,
    ) -> Option<Duration> {
        self.end_overdue(now, limits.patience);
        // One packet for each connection a round.
        while !link.is_full()
            && self.interface.poll_egress(instant(now), link, &mut self.sockets) == PollResult::SocketStateChanged
        {
        }
        for place in (0..self.connections.len()).rev() {
            if self.connections[place].holder != Holder::Stream && self.is_closed(place) {
                self.remove(place, pool);
            }
        }
        if link.is_full() {
            return Some(now);
        }
        let due = self.interface.poll_at(instant(now), &self.sockets)?;
        // Everything that could be sent was: what is still due at once is a timer of less than the clock shows.
        Some(Duration::from_micros(due.total_micros().unsigned_abs()).max(now + Duration::from_millis(1)))
    }

    /// Ends every connection, tells the peer so, and leaves the streams to find out.
    pub(crate) fn abort(&mut self, now: Duration, link: &mut Link, pool: &mut Pool) {
        for connection in &self.connections {
            self.sockets.get_mut::<Socket>(connection.socket).abort();
        }
        self.interface.poll_egress(instant(now), link, &mut self.sockets);
        pool.used -= self.connections.len();
        self.connections.clear();
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn read(&mut self, id: u64, into: &mut [u8], context: &mut Context) -> Poll<io::Result<usize>> {
        let Some(socket) = self.socket(id) else { return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())) };
        match socket.recv_slice(into) {
            Ok(0) => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    pub(crate) fn write(&mut self, id: u64, bytes: &[u8], context: &mut Context) -> Poll<io::Result<usize>> {
        let connection = self.connections.iter().find(|one| one.id == id);
        let Some(Connection { socket, window, .. }) = connection else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let socket = self.sockets.get_mut::<Socket>(*socket);
        let room = window.saturating_sub(socket.send_queue()).min(bytes.len());
        match socket.send_slice(&bytes[..room]) {
            Ok(0) => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(_) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// No more is written; what was is still sent.
    pub(crate) fn close(&mut self, id: u64) {
        if let Some(socket) = self.socket(id) {
            socket.close();
        }
    }

    /// Its stream is gone.
    pub(crate) fn leave(&mut self, id: u64, now: Duration) {
        self.close(id);
        if let Some(connection) = self.connections.iter_mut().find(|one| one.id == id) {
            connection.holder = Holder::Left;
            connection.since = now;
        }
    }

    fn socket(&mut self, id: u64) -> Option<&mut Socket<'static>> {
        let handle = self.connections.iter().find(|one| one.id == id)?.socket;
        Some(self.sockets.get_mut(handle))
    }

    fn state(&self, place: usize) -> State {
        self.sockets.get::<Socket>(self.connections[place].socket).state()
    }

    /// Closed, and the peer was told where it had to be.
    fn is_closed(&self, place: usize) -> bool {
        let socket = self.sockets.get::<Socket>(self.connections[place].socket);
        socket.state() == State::Closed && socket.remote_endpoint().is_none()
    }

    /// Its ports may be used again.
    fn is_over(&self, place: usize) -> bool {
        let free = matches!(self.state(place), State::TimeWait | State::Closed);
        free && self.connections[place].holder != Holder::Stream
    }

    /// The connection that only waits for late packets goes before a new one is refused.
    fn evict(&mut self, pool: &mut Pool) {
        if let Some(place) = (0..self.connections.len()).find(|place| self.is_over(*place)) {
            self.remove(place, pool);
        }
    }

    fn remove(&mut self, place: usize, pool: &mut Pool) {
        let connection = self.connections.remove(place);
        self.sockets.remove(connection.socket);
        pool.used -= 1;
    }

    fn end_overdue(&mut self, now: Duration, patience: Duration) {
        for connection in &self.connections {
            if connection.holder != Holder::Stream && now.saturating_sub(connection.since) > patience {
                self.sockets.get_mut::<Socket>(connection.socket).abort();
            }
        }
    }
}

/// smoltcp counts from the same start.
fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}
