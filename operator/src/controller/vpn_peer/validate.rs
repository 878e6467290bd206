//! Whether a peer's spec fits this installation. Pure.

use std::net::Ipv4Addr;

use alcazar_crds::llm_vpn_peer::LlmVpnPeer;
use ipnet::Ipv4Net;

use crate::settings::Vpn;

/// Why a peer cannot be let in, whoever else there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("this installation has no VPN: set gateway.vpn.enabled in the chart")]
    Disabled,
    #[error("spec.address is {found:?}; it must be one IPv4 address, for example 10.88.0.7")]
    Address { found: String },
    #[error("spec.address {found} is not an address of a host in {cidr}")]
    Outside { found: Ipv4Addr, cidr: Ipv4Net },
    #[error("spec.address {found} is the gateway's own")]
    Gateway { found: Ipv4Addr },
}

pub(crate) fn validate(peer: &LlmVpnPeer, vpn: &Vpn) -> Result<(), Invalid> {
    if !vpn.enabled {
        return Err(Invalid::Disabled);
    }
    let address = &peer.spec.address;
    let found: Ipv4Addr = address.parse().map_err(|_| Invalid::Address { found: address.clone() })?;
    let cidr = vpn.cidr;
    if !cidr.contains(&found) || found == cidr.network() || found == cidr.broadcast() {
        return Err(Invalid::Outside { found, cidr });
    }
    if found == vpn.gateway_address() { Err(Invalid::Gateway { found }) } else { Ok(()) }
}
