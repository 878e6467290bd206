//! What the endpoint is told, checked as a whole before it starts.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use ipnet::Ipv4Net;

use crate::{PrivateKey, PublicKey};

/// IP packets inside the tunnel, in bytes: what fits Ethernet's 1500 after IPv6, UDP and WireGuard.
pub(crate) const LARGEST_MTU: usize = 1420;
/// What every IPv6 path carries; smaller packets only cost.
const SMALLEST_MTU: usize = 1280;

#[derive(Clone, Debug)]
pub struct Config {
    pub private_key: PrivateKey,
    /// Where the peers' addresses are.
    pub cidr: Ipv4Net,
    /// The one address inside the tunnel that answers.
    pub address: Ipv4Addr,
    /// Its ports; any other is reset.
    pub ports: Vec<u16>,
    pub limits: Limits,
}

/// What peers may use, together and each.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Peers beyond this are left out; the first that are told count.
    pub peers: usize,
    /// TCP connections of all peers. Each has `receive_bytes` + `send_bytes` of buffers.
    pub connections: usize,
    pub connections_per_peer: usize,
    /// Connections of a peer whose handshake is not finished.
    pub half_open_per_peer: usize,
    pub receive_bytes: usize,
    pub send_bytes: usize,
    /// Bytes of an IP packet inside the tunnel, 1280 to 1420.
    pub mtu: usize,
    /// Handshakes a second of all peers, above which an address must prove that it receives what is sent to it.
    pub handshakes_per_second: u64,
    /// How long a TCP handshake, or the end of a connection that nobody uses, may take.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peers: 10_000,
            connections: 512,
            connections_per_peer: 32,
            half_open_per_peer: 8,
            receive_bytes: 128 << 10,
            send_bytes: 256 << 10,
            mtu: LARGEST_MTU,
            handshakes_per_second: 100,
            patience: Duration::from_secs(20),
        }
    }
}

/// Somebody who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub public_key: PublicKey,
    /// The only source address that its packets may have.
    pub address: Ipv4Addr,
    /// Seconds since 1970; from then on the peer is unknown.
    pub expires_at: Option<u64>,
    /// For metrics and the log.
    pub name: Arc<str>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("the address {address} is not in the network {cidr}: take one of it, its first for example")]
    AddressOutside { address: Ipv4Addr, cidr: Ipv4Net },
    #[error("an MTU of {0} bytes cannot be used: give {SMALLEST_MTU} to {LARGEST_MTU}")]
    Mtu(usize),
    #[error("the limit {0} is zero, which would let nobody in: give at least 1")]
    Zero(&'static str),
    #[error("no port answers inside the tunnel: give at least one")]
    NoPort,
}

impl Config {
    /// That an [`crate::Endpoint`] can work with it.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Limits { peers, connections, connections_per_peer, half_open_per_peer, .. } = self.limits;
        let counts = [
            ("peers", peers),
            ("connections", connections),
            ("connectionsPerPeer", connections_per_peer),
            ("halfOpenPerPeer", half_open_per_peer),
            ("receiveBytes", self.limits.receive_bytes),
            ("sendBytes", self.limits.send_bytes),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::Zero(name));
        }
        if !self.cidr.contains(&self.address) {
            return Err(ConfigError::AddressOutside { address: self.address, cidr: self.cidr });
        }
        if !(SMALLEST_MTU..=LARGEST_MTU).contains(&self.limits.mtu) {
            return Err(ConfigError::Mtu(self.limits.mtu));
        }
        if self.ports.is_empty() { Err(ConfigError::NoPort) } else { Ok(()) }
    }
}
