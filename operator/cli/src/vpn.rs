//! What `alcazar vpn add` prints. Pure; key pair and clock are arguments.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

use alcazar_contract::gateway::vpn as entries;
use alcazar_crds::llm_vpn_peer::{LlmVpnPeer, LlmVpnPeerSpec};
use alcazar_vpn::{PrivateKey, PublicKey, WgQuick};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zeroize::Zeroizing;

use crate::{
    address,
    cli::{AddPeer, ServerFlags},
    error::Error,
    expiry, manifest,
};

/// What a peer must know of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its WireGuard public key.
    pub public_key: PublicKey,
    /// `host:port`.
    pub endpoint: String,
    /// Address of the gateway in the tunnel.
    pub gateway: Ipv4Addr,
    /// Addresses of the tunnel, where they are known.
    pub cidr: Option<Ipv4Net>,
}

/// The server that the flags describe; `None`: they do not.
///
/// # Errors
/// Values of another form.
pub fn server_of_flags(flags: &ServerFlags) -> Result<Option<Server>, Error> {
    let (Some(public_key), Some(endpoint), Some(gateway)) = (&flags.server_key, &flags.endpoint, flags.gateway_address)
    else {
        return Ok(None);
    };
    let public_key = public_key.parse().map_err(|_| {
        let expected = "a WireGuard public key, 44 characters base64 as `wg pubkey` prints";
        Error::Value { what: "--server-key", found: public_key.clone(), expected }
    })?;
    if !is_endpoint(endpoint) {
        let expected = "host:port, for example vpn.example.com:51820";
        return Err(Error::Value { what: "--endpoint", found: endpoint.clone(), expected });
    }
    Ok(Some(Server { public_key, endpoint: endpoint.clone(), gateway, cidr: None }))
}

/// The server that the operator describes in its ConfigMap.
///
/// # Errors
/// What is missing or of another form, in words.
pub fn server_of_config_map(data: &BTreeMap<String, String>) -> Result<Server, String> {
    let entry = |name: &str| data.get(name).cloned().ok_or_else(|| format!("its entry {name} is missing"));
    let wrong = |name: &str, found: &str| format!("its entry {name} is {found:?}");
    let (public_key, endpoint) = (entry(entries::PUBLIC_KEY)?, entry(entries::ENDPOINT)?);
    let (gateway, cidr) = (entry(entries::GATEWAY_ADDRESS)?, entry(entries::CIDR)?);
    if !is_endpoint(&endpoint) {
        return Err(wrong(entries::ENDPOINT, &endpoint));
    }
    Ok(Server {
        public_key: public_key.parse().map_err(|_| wrong(entries::PUBLIC_KEY, &public_key))?,
        endpoint,
        gateway: gateway.parse().map_err(|_| wrong(entries::GATEWAY_ADDRESS, &gateway))?,
        cidr: Some(cidr.parse().map_err(|_| wrong(entries::CIDR, &cidr))?),
    })
}

/// The object to apply, and the file for the peer.
///
/// # Errors
/// Arguments that the API server would refuse, an expiry that is over, an address that cannot be.
pub fn peer(
    arguments: &AddPeer,
    server: &Server,
    taken: &BTreeSet<Ipv4Addr>,
    private_key: &PrivateKey,
    now: Timestamp,
) -> Result<(LlmVpnPeer, Zeroizing<String>), Error> {
    manifest::check(&arguments.name, &arguments.owner)?;
    let expires_at = arguments.expires.as_deref().map(|text| expiry::parse(text, now).map(Time)).transpose()?;
    let address = match (arguments.address, server.cidr) {
        (Some(address), cidr) => address::check(address, cidr, server.gateway, taken).map(|()| address)?,
        (None, Some(cidr)) => address::first_free(cidr, server.gateway, taken)?,
        (None, None) => {
            let expected = "an address for the peer, since no cluster is asked which are free";
            return Err(Error::Value { what: "--address", found: String::new(), expected });
        }
    };
    let spec = LlmVpnPeerSpec {
        public_key: private_key.public().to_string(),
        address: address.to_string(),
        owner: arguments.owner.clone(),
        expires_at,
        ..LlmVpnPeerSpec::default()
    };
    let mut object = LlmVpnPeer::new(&arguments.name, spec);
    object.metadata.namespace.clone_from(&arguments.namespace);
    let (public_key, endpoint, gateway_address) = (server.public_key, server.endpoint.as_str(), server.gateway);
    let file = WgQuick { private_key, address, public_key, endpoint, gateway_address }.render();
    let expected = "host:port, for example vpn.example.com:51820";
    let file = file.ok_or_else(|| Error::Value { what: "the endpoint", found: server.endpoint.clone(), expected })?;
    Ok((object, file))
}

/// `host:port` with a port, IPv6 in brackets.
fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-'),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// What the person is told once.
#[must_use]
pub fn shown_once(file: &str, gateway: Ipv4Addr, picture: Option<&str>) -> String {
    let picture = picture.map(|picture| format!("{picture}\n\n")).unwrap_or_default();
    format!(
        "The file for wg-quick and the WireGuard apps, shown only now; it holds the private key:\n\n{file}\n{picture}\
         In the tunnel only the gateway answers: https://{gateway}\n\n"
    )
}

#[cfg(test)]
mod tests;
