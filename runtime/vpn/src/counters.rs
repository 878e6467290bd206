//! What was counted; plain numbers that the gateway exports.

use std::{sync::Arc, time::Duration};

/// Why a packet was dropped. A closed set: names of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Not a message of WireGuard.
    Malformed,
    /// A MAC or a tag that the sender's key would not have made.
    Forged,
    /// A counter or a timestamp that was used before.
    Replayed,
    /// A handshake of a key that is not a peer, or is none any more.
    UnknownPeer,
    /// Data of a session that does not exist, or is over.
    NoSession,
    /// A handshake while there are too many, answered with a cookie.
    UnderLoad,
    /// Too many handshakes of one address.
    Throttled,
    /// Inside: not a whole IPv4 packet, or one in fragments.
    BadPacket,
    /// Inside: the source is not the peer's own address.
    SpoofedSource,
    /// Inside: for another address than ours.
    ForeignAddress,
    /// Inside: not TCP.
    NotTcp,
    /// Inside: a port that nobody listens on; the connection is reset.
    ForeignPort,
    /// Inside: a connection beyond the limits.
    TooManyConnections,
    /// Outside: the system did not take our datagram.
    SendFailed,
}

impl Cause {
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::Forged,
        Self::Replayed,
        Self::UnknownPeer,
        Self::NoSession,
        Self::UnderLoad,
        Self::Throttled,
        Self::BadPacket,
        Self::SpoofedSource,
        Self::ForeignAddress,
        Self::NotTcp,
        Self::ForeignPort,
        Self::TooManyConnections,
        Self::SendFailed,
    ];

    /// As a label of a metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::UnknownPeer => "unknown_peer",
            Self::NoSession => "no_session",
            Self::UnderLoad => "under_load",
            Self::Throttled => "throttled",
            Self::BadPacket => "bad_packet",
            Self::SpoofedSource => "spoofed_source",
            Self::ForeignAddress => "foreign_address",
            Self::NotTcp => "not_tcp",
            Self::ForeignPort => "foreign_port",
            Self::TooManyConnections => "too_many_connections",
            Self::SendFailed => "send_failed",
        }
    }
}

/// Since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams that came.
    pub received: u64,
    /// Datagrams that were made.
    pub sent: u64,
    pub accepted_connections: u64,
    dropped: [u64; Cause::ALL.len()],
}

impl Totals {
    pub(crate) fn drop(&mut self, cause: Cause) {
        self.drop_many(cause, 1);
    }

    pub(crate) fn drop_many(&mut self, cause: Cause, count: u64) {
        self.dropped[cause as usize] += count;
    }

    pub fn dropped(&self, cause: Cause) -> u64 {
        self.dropped[cause as usize]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSnapshot {
    pub name: Arc<str>,
    /// None before the first handshake with this process.
    pub handshake_age: Option<Duration>,
    /// The same, in seconds since 1970.
    pub handshake_at: Option<u64>,
    /// Bytes of authentic datagrams, with WireGuard's own headers, as `wg show` counts.
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub connections: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub peers: Vec<PeerSnapshot>,
    pub totals: Totals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_counter_and_name() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place, "{}", cause.name());
            assert_eq!(Cause::ALL.iter().filter(|other| other.name() == cause.name()).count(), 1);
        }
    }
}
