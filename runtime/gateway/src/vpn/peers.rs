//! From `LlmVpnPeer`s to who may come in. Pure.

use std::collections::HashMap;

use alcazar_crds::{grant::GrantState, llm_vpn_peer::LlmVpnPeer};
use alcazar_vpn::Peer;
use kube::Resource as _;

use crate::key::Name;

/// A peer, and what its status says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    pub(crate) name: Name,
    pub(crate) peer: Peer,
    pub(crate) told: Told,
}

/// The gateway's part of a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Seconds since 1970.
    pub(crate) handshake_at: Option<u64>,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
}

/// Those that are active, in the order in which they were made: of two with one key or one address the first counts, for the
/// operator as here. What cannot be read as a key or an address opens nothing.
pub(crate) fn listed(objects: &HashMap<Name, LlmVpnPeer>) -> Vec<Listed> {
    let mut active: Vec<_> = objects.iter().filter(|(_, object)| is_active(object)).collect();
    active.sort_by_key(|(name, object)| {
        let made = object.meta().creation_timestamp.as_ref().map_or(i64::MAX, |at| at.0.as_second());
        (made, (*name).clone())
    });
    active.into_iter().filter_map(|(name, object)| read(name, object)).collect()
}

fn is_active(object: &LlmVpnPeer) -> bool {
    object.spec.state == GrantState::Active && object.meta().deletion_timestamp.is_none()
}

fn read(name: &Name, object: &LlmVpnPeer) -> Option<Listed> {
    let spec = &object.spec;
    let peer = Peer {
        public_key: spec.public_key.parse().ok()?,
        address: spec.address.parse().ok()?,
        // Before 1970 is over as well.
        expires_at: spec.expires_at.as_ref().map(|end| u64::try_from(end.0.as_second()).unwrap_or(0)),
        name: name.to_string().into(),
    };
    let status = object.status.clone().unwrap_or_default();
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    let told = Told {
        handshake_at: status.last_handshake_time.and_then(|at| u64::try_from(at.0.as_second()).ok()),
        received_bytes: count(status.received_bytes),
        sent_bytes: count(status.sent_bytes),
    };
    Some(Listed { name: name.clone(), peer, told })
}
