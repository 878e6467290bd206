//! The network between clients and the endpoint, and a program behind the endpoint that answers with what it was sent.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use smoltcp::iface::SocketHandle;

use super::client::{Client, GATEWAY};
use crate::{Cause, Config, Endpoint, Limits, Now, Outgoing, Peer, PrivateKey, Snapshot, StreamId};

pub(crate) const PORT: u16 = 443;
const STEP: Duration = Duration::from_millis(1);
/// When the world begins, in seconds since 1970.
pub(crate) const EPOCH: u64 = 1_800_000_000;

struct Flight {
    due: Duration,
    order: u64,
    /// None: to the endpoint, from `at`. Otherwise to whoever is at `at`.
    to_client: bool,
    at: SocketAddr,
    datagram: Vec<u8>,
}

struct Echo {
    id: StreamId,
    waiting: Vec<u8>,
    finished: bool,
}

pub(crate) struct World {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Now,
    pub(crate) clients: Vec<Client>,
    pub(crate) peers: Vec<Peer>,
    /// Of a hundred datagrams, how many are lost, and come twice.
    pub(crate) lost: u8,
    pub(crate) doubled: u8,
    /// Each datagram takes 5 ms, and up to this many more.
    pub(crate) jitter: u64,
    /// Every datagram that was put on the wire by a client, when wanted.
    pub(crate) captured: Option<Vec<(SocketAddr, Vec<u8>)>>,
    pub(crate) largest_datagram: usize,
    /// The program behind the endpoint takes no connection and reads nothing while false.
    pub(crate) serving: bool,
    pub(crate) failed_streams: usize,
    server: PrivateKey,
    flights: Vec<Flight>,
    echoes: Vec<Echo>,
    random: fastrand::Rng,
    order: u64,
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        let server = PrivateKey::from_bytes(&[200; 32]);
        let cidr = "10.88.0.0/16".parse().unwrap();
        let config = Config { private_key: server.clone(), cidr, address: GATEWAY, ports: vec![PORT], limits };
        config.check().unwrap();
        let mut numbers = fastrand::Rng::with_seed(1);
        Self {
            endpoint: Endpoint::new(config, Box::new(move || numbers.u64(..))),
            now: Now { elapsed: Duration::ZERO, unix: EPOCH },
            clients: Vec::new(),
            peers: Vec::new(),
            lost: 0,
            doubled: 0,
            jitter: 0,
            captured: None,
            largest_datagram: 0,
            serving: true,
            failed_streams: 0,
            server,
            flights: Vec::new(),
            echoes: Vec::new(),
            random: fastrand::Rng::with_seed(2),
            order: 0,
        }
    }

    /// A client whose key the endpoint does not know.
    pub(crate) fn stranger(&mut self, number: u8, mtu: usize) -> usize {
        self.clients.push(Client::new(number, self.server.public(), mtu));
        self.clients.len() - 1
    }

    /// A client that may come in.
    pub(crate) fn join(&mut self, number: u8) -> usize {
        let client = self.stranger(number, 1420);
        let Client { key, address, .. } = &self.clients[client];
        let peer = Peer {
            public_key: key.public(),
            address: *address,
            expires_at: None,
            name: Arc::from(format!("peer-{number:03}")),
        };
        self.peers.push(peer);
        self.endpoint.set_peers(self.now, &self.peers);
        client
    }

    pub(crate) fn step(&mut self) {
        self.now.elapsed += STEP;
        self.now.unix = EPOCH + self.now.elapsed.as_secs();
        #[cfg(feature = "virtual-clock")]
        mock_instant::MockClock::advance(STEP);
        self.deliver();
        for place in 0..self.clients.len() {
            self.clients[place].poll(self.now.elapsed);
            self.take_wire(place);
        }
        if self.now.elapsed.as_millis().is_multiple_of(500) {
            self.endpoint.tick(self.now);
        }
        if self.serving {
            self.serve();
        }
        self.endpoint.poll(self.now);
        let mut outgoing = Outgoing::default();
        self.endpoint.swap_outgoing(&mut outgoing);
        for (to, datagram) in outgoing.iter() {
            self.fly(true, to, datagram);
        }
    }

    /// Steps until `done`; panics after `limit`.
    pub(crate) fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now.elapsed + limit;
        while !done(self) {
            assert!(self.now.elapsed < end, "not done after {limit:?}: {:?}", self.endpoint.snapshot(self.now));
            self.step();
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.elapsed + time;
        self.run(time + STEP, |world| world.now.elapsed >= end);
    }

    fn take_wire(&mut self, place: usize) {
        let from = self.clients[place].outer;
        while let Some(datagram) = self.clients[place].wire.pop_front() {
            if let Some(captured) = &mut self.captured {
                captured.push((from, datagram.clone()));
            }
            self.fly(false, from, &datagram);
        }
    }

    fn fly(&mut self, to_client: bool, at: SocketAddr, datagram: &[u8]) {
        self.largest_datagram = self.largest_datagram.max(datagram.len());
        if self.random.u8(..100) < self.lost {
            return;
        }
        let copies = 1 + usize::from(self.random.u8(..100) < self.doubled);
        for _ in 0..copies {
            let due = self.now.elapsed + Duration::from_millis(5 + self.random.u64(..=self.jitter));
            self.order += 1;
            self.flights.push(Flight { due, order: self.order, to_client, at, datagram: datagram.to_vec() });
        }
    }

    fn deliver(&mut self) {
        let now = self.now.elapsed;
        let (mut landed, flying) =
            std::mem::take(&mut self.flights).into_iter().partition::<Vec<_>, _>(|one| one.due <= now);
        self.flights = flying;
        landed.sort_by_key(|flight| (flight.due, flight.order));
        for Flight { to_client, at, datagram, .. } in landed {
            if !to_client {
                self.endpoint.receive(self.now, at, &datagram);
            } else if let Some(client) = self.clients.iter_mut().find(|client| client.outer == at) {
                client.receive(&datagram);
            }
        }
    }

    fn serve(&mut self) {
        while let Some(accepted) = self.endpoint.accept() {
            assert_eq!(accepted.local.port(), PORT);
            self.echoes.push(Echo { id: accepted.id, waiting: Vec::new(), finished: false });
        }
        let mut echoes = std::mem::take(&mut self.echoes);
        echoes.retain_mut(|echo| self.answer(echo));
        self.echoes = echoes;
    }

    /// False when the stream is over.
    fn answer(&mut self, echo: &mut Echo) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut buffer = [0; 4096];
        while !echo.finished && echo.waiting.len() < 64 << 10 {
            match self.endpoint.read(echo.id, &mut buffer, &mut context) {
                Poll::Ready(Ok(0)) => echo.finished = true,
                Poll::Ready(Ok(length)) => echo.waiting.extend_from_slice(&buffer[..length]),
                Poll::Ready(Err(_)) => return self.fail(echo.id),
                Poll::Pending => break,
            }
        }
        while !echo.waiting.is_empty() {
            match self.endpoint.write(echo.id, &echo.waiting, &mut context) {
                Poll::Ready(Ok(length)) => drop(echo.waiting.drain(..length)),
                Poll::Ready(Err(_)) => return self.fail(echo.id),
                Poll::Pending => break,
            }
        }
        if echo.finished && echo.waiting.is_empty() {
            self.endpoint.leave(self.now, echo.id);
            return false;
        }
        true
    }

    fn fail(&mut self, id: StreamId) -> bool {
        self.failed_streams += 1;
        self.endpoint.leave(self.now, id);
        false
    }

    /// Sends `bytes` over a connection of `client` and takes them back, as a test of both ways.
    pub(crate) fn echo(&mut self, client: usize, handle: SocketHandle, bytes: &[u8], limit: Duration) {
        let (mut sent, mut back) = (0, Vec::new());
        self.run(limit, |world| {
            let socket = world.clients[client].socket(handle);
            if sent < bytes.len() && socket.may_send() {
                sent += socket.send_slice(&bytes[sent..]).unwrap();
            }
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = socket.recv_slice(&mut buffer) {
                back.extend_from_slice(&buffer[..length]);
            }
            back.len() >= bytes.len()
        });
        assert!(back == bytes, "the bytes came back changed");
    }

    pub(crate) fn connect(&mut self, client: usize) -> SocketHandle {
        self.connect_to(client, GATEWAY, PORT)
    }

    pub(crate) fn connect_to(&mut self, client: usize, to: Ipv4Addr, port: u16) -> SocketHandle {
        self.clients[client].connect(to, port)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.endpoint.snapshot(self.now)
    }

    pub(crate) fn dropped(&self, cause: Cause) -> u64 {
        self.snapshot().totals.dropped(cause)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.random.u8(..)).collect()
    }
}
