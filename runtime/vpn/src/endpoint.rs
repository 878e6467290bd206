//! The endpoint without IO: datagrams in, datagrams out, streams between.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::{SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use boringtun::noise::{Packet, TunnResult, handshake::parse_handshake_anon, rate_limiter::RateLimiter};

use crate::{
    Cause, Config, Outgoing, Peer, PublicKey, Totals,
    config::LARGEST_MTU,
    flood::Flood,
    link::Link,
    packet,
    stack::{Opened, Pool, Stack},
    tunnel::{self, Tunnel},
};

mod members;
mod streams;

/// No message of a peer that keeps to the MTU is larger.
pub(crate) const LARGEST_DATAGRAM: usize = LARGEST_MTU + tunnel::OVERHEAD + 15;
/// A session's index has 24 bits for the peer and 8 for its sessions.
const INDEX_SHIFT: u32 = 8;
const COOKIE_REPLY: usize = 64;

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the endpoint's start; never goes back.
    pub elapsed: Duration,
    /// Seconds since 1970.
    pub unix: u64,
}

/// One TCP connection of one peer. It is never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    peer: u32,
    connection: u64,
}

/// A connection to be served.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub id: StreamId,
    /// The peer's name.
    pub peer: Arc<str>,
    pub remote: SocketAddrV4,
    pub local: SocketAddrV4,
}

struct Member {
    peer: Peer,
    /// From its first handshake on. It is kept while the peer is, since it knows which handshakes were there before.
    tunnel: Option<Tunnel>,
    stack: Option<Stack>,
    /// Its entry of the schedule.
    turn: Option<Turn>,
}

/// When, and after whom of those who are due then: whoever has more to send than one turn takes goes behind the others.
type Turn = (Duration, u64);

/// See the crate's page.
pub struct Endpoint {
    config: Config,
    /// Of the private key; it costs as much as a handshake to make.
    public: PublicKey,
    random: Box<dyn FnMut() -> u64 + Send>,
    limiter: RateLimiter,
    /// Limits nothing: messages come to a tunnel after `limiter` let them.
    checked: Arc<RateLimiter>,
    flood: Flood,
    members: HashMap<u32, Member>,
    by_key: HashMap<PublicKey, u32>,
    /// Whose TCP is to be polled when; at zero are those who are due at once.
    schedule: BTreeSet<(Turn, u32)>,
    turns: u64,
    pool: Pool,
    accepted: VecDeque<Accepted>,
    outgoing: Outgoing,
    plain: Box<[u8]>,
    totals: Totals,
}

impl Endpoint {
    /// `random` is asked for indices of peers and first numbers of TCP; keys of sessions come from the system.
    pub fn new(config: Config, random: Box<dyn FnMut() -> u64 + Send>) -> Self {
        let public = config.private_key.public();
        Self {
            public,
            limiter: RateLimiter::new(&public.point(), config.limits.handshakes_per_second),
            checked: Arc::new(RateLimiter::new(&public.point(), u64::MAX)),
            config,
            random,
            flood: Flood::new(),
            members: HashMap::new(),
            by_key: HashMap::new(),
            schedule: BTreeSet::new(),
            turns: 0,
            pool: Pool { used: 0, next: 0 },
            accepted: VecDeque::new(),
            outgoing: Outgoing::default(),
            plain: vec![0; LARGEST_DATAGRAM.max(tunnel::LARGEST_HANDSHAKE)].into(),
            totals: Totals::default(),
        }
    }

    /// One datagram from outside.
    pub fn receive(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        self.totals.received += 1;
        if let Err(cause) = self.take(now, from, datagram) {
            self.totals.drop(cause);
        }
    }

    fn take(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) -> Result<(), Cause> {
        if datagram.len() > self.plain.len() {
            return Err(Cause::Malformed);
        }
        let mut cookie = [0; COOKIE_REPLY];
        let message = match self.limiter.verify_packet(Some(from.ip()), datagram, &mut cookie) {
            Ok(message) => message,
            Err(TunnResult::WriteToNetwork(reply)) => {
                self.outgoing.push(from, reply.len(), |room| {
                    room.copy_from_slice(reply);
                    reply.len()
                });
                return Err(Cause::UnderLoad);
            }
            // A message that cannot be parsed is not one; MACs are all else that is checked here.
            Err(TunnResult::Err(error)) => {
                return Err(if is_forged(&error) { Cause::Forged } else { Cause::Malformed });
            }
            Err(_) => return Err(Cause::Malformed),
        };
        let index = self.whose(now, from, &message)?;
        self.deliver(now, index, from, (datagram, &message))
    }

    /// The peer that a message says it is of. Only its tunnel knows whether that is true.
    fn whose(&mut self, now: Now, from: SocketAddr, message: &Packet) -> Result<u32, Cause> {
        let receiver = match message {
            Packet::HandshakeInit(init) => {
                self.flood.admit(from.ip(), now.elapsed)?;
                let secret = self.config.private_key.secret();
                let half =
                    parse_handshake_anon(&secret, &self.public.point(), init).map_err(|error| tunnel::cause(&error))?;
                let key = PublicKey::from_wire(half.peer_static_public);
                return self.by_key.get(&key).copied().ok_or(Cause::UnknownPeer);
            }
            Packet::HandshakeResponse(response) => response.receiver_idx,
            Packet::PacketCookieReply(reply) => reply.receiver_idx,
            Packet::PacketData(data) => data.receiver_idx,
        };
        Ok(receiver >> INDEX_SHIFT)
    }

    fn deliver(&mut self, now: Now, index: u32, from: SocketAddr, message: (&[u8], &Packet)) -> Result<(), Cause> {
        let member = self.members.get_mut(&index).ok_or(Cause::NoSession)?;
        let tunnel = match (&mut member.tunnel, message.1) {
            (Some(tunnel), _) => tunnel,
            (none, Packet::HandshakeInit(_)) => none.insert(Tunnel::new(
                &self.config.private_key,
                member.peer.public_key,
                index,
                Arc::clone(&self.checked),
            )),
            (None, _) => return Err(Cause::NoSession),
        };
        let Some(packet) = tunnel.receive(now, from, message, &mut self.plain, &mut self.outgoing)? else {
            return Ok(());
        };
        let (address, limits) = (self.config.address, &self.config.limits);
        let segment = packet::judge(packet, member.peer.address, address)?;
        let mut link = Link::new(Some(packet), tunnel, &mut self.outgoing, limits.mtu);
        let stack = member
            .stack
            .get_or_insert_with(|| Stack::new(address, member.peer.address, (self.random)(), now.elapsed, &mut link));
        let served = self.config.ports.contains(&segment.local_port);
        if segment.opens && served {
            stack.open(now.elapsed, address, segment, limits, &mut self.pool)?;
        }
        let opened = stack.receive(now.elapsed, &mut link, &mut self.pool);
        let peer = member.peer.clone();
        self.announce(index, &peer, &opened);
        self.wake(Duration::ZERO, index);
        if served { Ok(()) } else { Err(Cause::ForeignPort) }
    }

    fn announce(&mut self, index: u32, peer: &Peer, opened: &[Opened]) {
        self.totals.accepted_connections += opened.len() as u64;
        self.accepted.extend(opened.iter().map(|one| Accepted {
            id: StreamId { peer: index, connection: one.id },
            peer: Arc::clone(&peer.name),
            remote: SocketAddrV4::new(peer.address, one.remote_port),
            local: SocketAddrV4::new(self.config.address, one.local_port),
        }));
    }

    /// The earlier of `due` and what was said before.
    fn wake(&mut self, due: Duration, index: u32) {
        let Some(member) = self.members.get_mut(&index) else { return };
        if let Some(turn) = member.turn {
            if turn.0 <= due {
                return;
            }
            self.schedule.remove(&(turn, index));
        }
        self.turns += 1;
        let turn = (due, self.turns);
        member.turn = Some(turn);
        self.schedule.insert((turn, index));
    }

    /// Lets TCP send. Returns when to call again; at once, when what is to be sent was more than [`Self::swap_outgoing`] takes.
    pub fn poll(&mut self, now: Now) -> Option<Duration> {
        while let Some(((due, _), index)) = self.schedule.first().copied() {
            if due > now.elapsed || self.outgoing.is_full() {
                return Some(due);
            }
            self.schedule.pop_first();
            self.poll_member(now, index);
        }
        None
    }

    fn poll_member(&mut self, now: Now, index: u32) {
        let Some(member) = self.members.get_mut(&index) else { return };
        member.turn = None;
        let (Some(tunnel), Some(stack)) = (&mut member.tunnel, &mut member.stack) else { return };
        let limits = &self.config.limits;
        let mut link = Link::new(None, tunnel, &mut self.outgoing, limits.mtu);
        if let Some(due) = stack.poll(now.elapsed, &mut link, limits, &mut self.pool) {
            self.wake(if due > now.elapsed { due } else { Duration::ZERO }, index);
        }
    }

    /// Gives what is to be sent for `empty`.
    pub fn swap_outgoing(&mut self, empty: &mut Outgoing) {
        empty.clear();
        std::mem::swap(&mut self.outgoing, empty);
        self.totals.sent += empty.len() as u64;
    }

    /// Datagrams of ours that the system did not take.
    pub fn count_send_failures(&mut self, count: u64) {
        self.totals.drop_many(Cause::SendFailed, count);
    }
}

fn is_forged(error: &boringtun::noise::errors::WireGuardError) -> bool {
    matches!(error, boringtun::noise::errors::WireGuardError::InvalidMac)
}
