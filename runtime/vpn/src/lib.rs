//! A WireGuard endpoint in user space: one UDP socket outside, one address and its ports inside.
//!
//! A datagram goes down this list, and what fails a step is dropped and counted ([`Cause`]):
//!
//! ```text
//! endpoint   whose is it? the message's MAC, the flood limits, the peer's key
//! tunnel     Noise (boringtun): authentic, fresh, decrypted; only now may the peer's outer address change
//! packet     inside: is it from the peer's own address, for our address, TCP, whole?
//! stack      TCP (smoltcp), one stack for each peer, so that no peer can reach, starve or slow another
//! ```
//!
//! [`Endpoint`] is that list without IO: clock, randomness and datagrams are arguments. [`Vpn`] drives one over a socket and hands
//! out streams. No device of the kernel is made and no privilege is needed.
#![forbid(unsafe_code)]

mod config;
mod counters;
mod endpoint;
mod flood;
mod keys;
mod link;
mod outgoing;
mod packet;
mod qr;
mod socket;
mod stack;
mod stream;
mod tunnel;
mod vpn;
mod wg_quick;

pub use config::{Config, ConfigError, Limits, Peer};
pub use counters::{Cause, PeerSnapshot, Snapshot, Totals};
pub use endpoint::{Accepted, Endpoint, Now, StreamId};
pub use keys::{KeyError, PrivateKey, PublicKey};
pub use outgoing::Outgoing;
pub use packet::{Segment, judge};
pub use qr::qr_code;
pub use stream::{Acceptor, VpnStream};
pub use vpn::{Reader, Vpn, VpnError};
pub use wg_quick::WgQuick;

#[cfg(test)]
mod simulation;
