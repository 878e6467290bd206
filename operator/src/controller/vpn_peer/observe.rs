//! Who else has the key or the address, from the store. Pure.

use std::net::Ipv4Addr;

use alcazar_crds::llm_vpn_peer::LlmVpnPeer;

use crate::{
    controller::grant,
    settings::Vpn,
    store::{Key, Store},
};

/// What a pass found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The oldest peer with the same public key, if that is not this one.
    pub(crate) key_holder: Option<Key>,
    /// The oldest peer with the same address, if that is not this one.
    pub(crate) address_holder: Option<Key>,
    /// The lowest address that nobody has; none when the range is full.
    pub(crate) free_address: Option<Ipv4Addr>,
}

pub(crate) fn observe(store: &Store<LlmVpnPeer>, peer: &LlmVpnPeer, vpn: &Vpn) -> Observed {
    let free = |address: &Ipv4Addr| *address != vpn.gateway_address() && store.marked(&address.to_string()).is_empty();
    Observed {
        key_holder: grant::older(store, peer, &peer.spec.public_key),
        address_holder: grant::older(store, peer, &peer.spec.address),
        // At most as many are taken as there are peers.
        free_address: vpn.cidr.hosts().take(store.len() + 2).find(free),
    }
}
