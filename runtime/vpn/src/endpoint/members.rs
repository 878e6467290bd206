//! Who may come in, what time does to them, and what is told of them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{Endpoint, Member, Now};
use crate::{Peer, PeerSnapshot, PublicKey, Snapshot, link::Link, stack::Stack, tunnel::Tunnel};

impl Endpoint {
    /// Who may come in from now on. Sessions and streams of those who are not in `peers` any more end; the others go on.
    /// An expired peer, an address outside the network, and a key or address that came before are left out.
    pub fn set_peers(&mut self, now: Now, peers: &[Peer]) {
        let wanted = self.admissible(now, peers);
        let gone: Vec<u32> =
            self.members.iter().filter(|(_, member)| !member.is_in(&wanted)).map(|(index, _)| *index).collect();
        for index in gone {
            self.remove(now, index);
        }
        for (key, peer) in wanted {
            match self.by_key.get(&key).and_then(|index| self.members.get_mut(index)) {
                Some(member) => member.peer = peer,
                None => self.add(peer),
            }
        }
    }

    fn admissible(&self, now: Now, peers: &[Peer]) -> HashMap<PublicKey, Peer> {
        let mut addresses = HashSet::from([self.config.address]);
        let mut wanted = HashMap::new();
        for peer in peers {
            let fits = self.config.cidr.contains(&peer.address)
                && !peer.is_expired(now)
                && wanted.len() < self.config.limits.peers;
            if fits && !wanted.contains_key(&peer.public_key) && addresses.insert(peer.address) {
                wanted.insert(peer.public_key, peer.clone());
            }
        }
        wanted
    }

    fn add(&mut self, peer: Peer) {
        let mut index = 0;
        while index == 0 || self.members.contains_key(&index) {
            index = u32::try_from((self.random)() >> 40).unwrap_or(0);
        }
        self.by_key.insert(peer.public_key, index);
        self.members.insert(index, Member { peer, tunnel: None, stack: None, turn: None });
    }

    fn remove(&mut self, now: Now, index: u32) {
        let Some(mut member) = self.members.remove(&index) else { return };
        self.by_key.remove(&member.peer.public_key);
        if let Some(turn) = member.turn {
            self.schedule.remove(&(turn, index));
        }
        if let (Some(tunnel), Some(stack)) = (&mut member.tunnel, &mut member.stack) {
            let mut link = Link::new(None, tunnel, &mut self.outgoing, self.config.limits.mtu);
            stack.abort(now.elapsed, &mut link, &mut self.pool);
        }
        self.accepted.retain(|accepted| accepted.id.peer != index);
    }

    /// What time alone does: keepalives, handshakes, expiry, connections that wait for nobody. To be called twice a second.
    pub fn tick(&mut self, now: Now) {
        self.limiter.reset_count();
        let expired: Vec<u32> =
            self.members.iter().filter(|(_, one)| one.peer.is_expired(now)).map(|(index, _)| *index).collect();
        for index in expired {
            self.remove(now, index);
        }
        let mut busy = Vec::new();
        for (index, member) in &mut self.members {
            if let Some(tunnel) = &mut member.tunnel {
                tunnel.tick(&mut self.outgoing);
            }
            if member.stack.as_ref().is_some_and(|stack| stack.connections() == 0) {
                member.stack = None;
            } else if member.stack.is_some() {
                busy.push(*index);
            }
        }
        for index in busy {
            self.wake(Duration::ZERO, index);
        }
    }

    /// Peers by name.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let mut peers: Vec<_> = self.members.values().map(|member| member.snapshot(now)).collect();
        peers.sort_by(|a, b| a.name.cmp(&b.name));
        Snapshot { peers, totals: self.totals.clone() }
    }
}

impl Member {
    /// The same peer at the same address.
    fn is_in(&self, wanted: &HashMap<PublicKey, Peer>) -> bool {
        wanted.get(&self.peer.public_key).is_some_and(|peer| peer.address == self.peer.address)
    }

    fn snapshot(&self, now: Now) -> PeerSnapshot {
        let handshake = self.tunnel.as_ref().and_then(Tunnel::handshake_at);
        let (received_bytes, sent_bytes) = self.tunnel.as_ref().map_or((0, 0), Tunnel::bytes);
        PeerSnapshot {
            name: Arc::clone(&self.peer.name),
            handshake_age: handshake.map(|then| now.elapsed.saturating_sub(then.elapsed)),
            handshake_at: handshake.map(|then| then.unix),
            received_bytes,
            sent_bytes,
            connections: self.stack.as_ref().map_or(0, Stack::connections),
        }
    }
}

impl Peer {
    fn is_expired(&self, now: Now) -> bool {
        self.expires_at.is_some_and(|end| end <= now.unix)
    }
}
