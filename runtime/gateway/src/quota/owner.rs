//! Which replica keeps the account of a key. Pure.

use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use crate::key::Name;

/// A replica of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer {
    /// Of its pod.
    pub(crate) name: String,
    /// Its peer port.
    pub(crate) address: SocketAddr,
}

/// Who keeps an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Me,
    Other(SocketAddr),
}

/// By rendezvous hashing over the names: when a replica comes or goes, only its own accounts move.
pub(crate) fn of(key: &Name, peers: &[Peer], me: &str) -> Owner {
    match peers.iter().max_by_key(|peer| rank(key, &peer.name)) {
        Some(peer) if peer.name != me => Owner::Other(peer.address),
        _ => Owner::Me,
    }
}

fn rank(key: &Name, peer: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [&key.namespace, &key.name, peer] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(n: u8) -> Vec<Peer> {
        (0..n)
            .map(|n| Peer { name: format!("gateway-{n}"), address: SocketAddr::from(([10, 0, 0, n], 8444)) })
            .collect()
    }

    fn key(n: usize) -> Name {
        Name::new("team-a", format!("key-{n}"))
    }

    #[test]
    fn alone_it_owns_everything() {
        assert_eq!(of(&key(1), &[], "gateway-0"), Owner::Me);
        assert_eq!(of(&key(1), &peers(1), "gateway-0"), Owner::Me);
    }

    #[test]
    fn all_agree_and_share() {
        let peers = peers(3);
        let mut owned = [0; 3];
        for n in 0..300 {
            let owners = (0..3).filter(|me| of(&key(n), &peers, &format!("gateway-{me}")) == Owner::Me);
            let owners: Vec<usize> = owners.collect();
            assert_eq!(owners.len(), 1);
            owned[owners[0]] += 1;
        }
        assert!(owned.iter().all(|n| (70..130).contains(n)), "{owned:?}");
    }

    #[test]
    fn one_that_goes_moves_only_its_own() {
        let (all, fewer) = (peers(3), &peers(3)[..2]);
        for n in 0..100 {
            let was = of(&key(n), &all, "somebody else");
            if was != Owner::Other(all[2].address) {
                assert_eq!(of(&key(n), fewer, "somebody else"), was);
            }
        }
    }
}
