//! One peer's Noise sessions, and the outer address it was last heard from.

use std::{net::SocketAddr, sync::Arc};

use boringtun::noise::{Packet, Tunn, TunnResult, errors::WireGuardError, rate_limiter::RateLimiter};

use crate::{Cause, Now, Outgoing, PrivateKey, PublicKey};

/// What WireGuard adds to a packet: type, receiver, counter, tag.
pub(crate) const OVERHEAD: usize = 32;
/// The largest message that is not data: a handshake's first.
pub(crate) const LARGEST_HANDSHAKE: usize = 148;
/// Counters from here on are refused, so that none can wrap (WireGuard's paper, section 6.1: REJECT-AFTER-MESSAGES).
const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);

pub(crate) struct Tunnel {
    tunn: Tunn,
    /// Learned from authentic messages only.
    outer: Option<SocketAddr>,
    /// A session is there to send with.
    established: bool,
    /// A handshake was answered and no data confirmed yet that the peer has its keys.
    unconfirmed: bool,
    handshake_at: Option<Now>,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Tunnel {
    /// `index` (24 bits) comes back in every message of the peer. `checked` limits nothing: who calls has limited already.
    pub(crate) fn new(key: &PrivateKey, peer: PublicKey, index: u32, checked: Arc<RateLimiter>) -> Self {
        Self {
            tunn: Tunn::new(key.secret(), peer.point(), None, None, index, Some(checked)),
            outer: None,
            established: false,
            unconfirmed: false,
            handshake_at: None,
            received_bytes: 0,
            sent_bytes: 0,
        }
    }

    /// The packet inside `datagram`, if there is one, written to `plain`, which is at least as large. Answers of the handshake go
    /// to `outgoing`.
    pub(crate) fn receive<'p>(
        &mut self,
        now: Now,
        from: SocketAddr,
        (datagram, kind): (&[u8], &Packet),
        plain: &'p mut [u8],
        outgoing: &mut Outgoing,
    ) -> Result<Option<&'p [u8]>, Cause> {
        if matches!(kind, Packet::PacketData(_)) && counter(datagram) >= REJECT_AFTER_MESSAGES {
            return Err(Cause::Forged);
        }
        let inside = match self.tunn.decapsulate(Some(from.ip()), datagram, plain) {
            TunnResult::Err(error) => return Err(cause(&error)),
            TunnResult::WriteToTunnelV6(..) => return Err(Cause::BadPacket),
            TunnResult::WriteToTunnelV4(packet, _) => Some(&*packet),
            TunnResult::WriteToNetwork(answer) => {
                self.sent_bytes += answer.len() as u64;
                outgoing.push(from, answer.len(), |room| {
                    room.copy_from_slice(answer);
                    answer.len()
                });
                None
            }
            TunnResult::Done => None,
        };
        self.received_bytes += datagram.len() as u64;
        self.heard(now, from, kind);
        Ok(inside)
    }

    /// What an authentic message tells of the peer.
    fn heard(&mut self, now: Now, from: SocketAddr, kind: &Packet) {
        match kind {
            Packet::HandshakeInit(_) => self.unconfirmed = true,
            Packet::HandshakeResponse(_) => self.confirm(now),
            Packet::PacketData(_) if self.unconfirmed => self.confirm(now),
            Packet::PacketData(_) => {}
            // Whoever saw our handshake can make one; it proves nothing about where the peer is.
            Packet::PacketCookieReply(_) => return,
        }
        self.outer = Some(from);
    }

    fn confirm(&mut self, now: Now) {
        self.unconfirmed = false;
        self.established = true;
        self.handshake_at = Some(now);
    }

    /// Sends `packet`, or, without a session, drops it and asks the peer for one: TCP sends again, and nothing piles up here.
    pub(crate) fn send(&mut self, packet: &[u8], outgoing: &mut Outgoing) {
        let Some(to) = self.outer else { return };
        let room = (packet.len() + OVERHEAD).max(LARGEST_HANDSHAKE);
        let (tunn, established) = (&mut self.tunn, self.established);
        let sent = outgoing.push(to, room, |room| {
            let message = if established {
                tunn.encapsulate(packet, room)
            } else {
                tunn.format_handshake_initiation(room, false)
            };
            length(&message)
        });
        self.sent_bytes += sent as u64;
    }

    /// Keepalives, handshakes that are due, and the end of old sessions. Twice a second is enough.
    pub(crate) fn tick(&mut self, outgoing: &mut Outgoing) {
        let mut message = [0; LARGEST_HANDSHAKE];
        let length = length(&self.tunn.update_timers(&mut message));
        if let Some(to) = self.outer {
            self.sent_bytes += length as u64;
            outgoing.push(to, length, |room| {
                room.copy_from_slice(&message[..length]);
                length
            });
        }
        self.established = self.tunn.time_since_last_handshake().is_some();
    }

    pub(crate) fn handshake_at(&self) -> Option<Now> {
        self.handshake_at
    }

    /// Received, sent.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.received_bytes, self.sent_bytes)
    }
}

/// Bytes of a message to send, 0 for none.
fn length(message: &TunnResult) -> usize {
    if let TunnResult::WriteToNetwork(bytes) = message { bytes.len() } else { 0 }
}

/// Bytes 8 to 15 of a data message.
fn counter(datagram: &[u8]) -> u64 {
    datagram.get(8..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

pub(crate) fn cause(error: &WireGuardError) -> Cause {
    match error {
        WireGuardError::InvalidMac | WireGuardError::InvalidAeadTag | WireGuardError::WrongKey => Cause::Forged,
        WireGuardError::InvalidCounter | WireGuardError::DuplicateCounter | WireGuardError::WrongTai64nTimestamp => {
            Cause::Replayed
        }
        WireGuardError::NoCurrentSession
        | WireGuardError::WrongIndex
        | WireGuardError::UnexpectedPacket
        | WireGuardError::ConnectionExpired => Cause::NoSession,
        // The message itself was parsed before: it is the packet inside that is not one.
        WireGuardError::InvalidPacket => Cause::BadPacket,
        WireGuardError::UnderLoad => Cause::UnderLoad,
        WireGuardError::DestinationBufferTooSmall
        | WireGuardError::IncorrectPacketLength
        | WireGuardError::WrongPacketType
        | WireGuardError::InvalidTai64nTimestamp
        | WireGuardError::LockFailed => Cause::Malformed,
    }
}
