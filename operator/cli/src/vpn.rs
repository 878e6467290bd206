//! What `alcazar vpn add` prints. Pure; key pair and clock are arguments.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use alcazar_contract::gateway::vpn as entries;
use alcazar_crds::llm_vpn_peer::{LlmVpnPeer, LlmVpnPeerSpec};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    address,
    cli::{AddPeer, ServerFlags},
    error::Error,
    expiry, manifest,
    tunnel_key::{self, KeyPair},
    wg_quick::{self, Tunnel},
};

/// What a peer must know of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its WireGuard public key.
    pub public_key: String,
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
    tunnel_key::check_public("--server-key", public_key)?;
    if !wg_quick::is_endpoint(endpoint) {
        let expected = "host:port, for example vpn.example.com:51820";
        return Err(Error::Value { what: "--endpoint", found: endpoint.clone(), expected });
    }
    Ok(Some(Server { public_key: public_key.clone(), endpoint: endpoint.clone(), gateway, cidr: None }))
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
    tunnel_key::check_public("publicKey", &public_key).map_err(|_| wrong(entries::PUBLIC_KEY, &public_key))?;
    if !wg_quick::is_endpoint(&endpoint) {
        return Err(wrong(entries::ENDPOINT, &endpoint));
    }
    Ok(Server {
        public_key,
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
    keys: &KeyPair,
    now: Timestamp,
) -> Result<(LlmVpnPeer, String), Error> {
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
        public_key: keys.public.clone(),
        address: address.to_string(),
        owner: arguments.owner.clone(),
        expires_at,
        ..LlmVpnPeerSpec::default()
    };
    let mut object = LlmVpnPeer::new(&arguments.name, spec);
    object.metadata.namespace.clone_from(&arguments.namespace);
    let tunnel = Tunnel {
        private_key: keys.private.clone(),
        address,
        server_key: server.public_key.clone(),
        endpoint: server.endpoint.clone(),
        gateway: server.gateway,
    };
    Ok((object, wg_quick::file(&tunnel)))
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
