//! Settings of the gateway and its VPN, as far as the operator needs them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use serde::Deserialize;

use super::{Error, is_dns_name, is_target, require};

/// The gateway of this installation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gateway {
    /// Whether there is one; without it deployments with `access.mode: Gateway` are refused with the mend.
    pub enabled: bool,
    /// Secret in the operator's namespace with the certificate of the public API, made by somebody else; none: the
    /// operator makes `alcazar-gateway-tls`.
    pub tls_secret_name: Option<String>,
    /// Further names and addresses under which people reach the gateway, for the operator's certificate.
    pub extra_names: Vec<String>,
    /// The WireGuard endpoint in front of it.
    pub vpn: Vpn,
}

impl Default for Gateway {
    fn default() -> Self {
        Self { enabled: true, tls_secret_name: None, extra_names: Vec::new(), vpn: Vpn::default() }
    }
}

/// The WireGuard endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Vpn {
    /// Whether there is one.
    pub enabled: bool,
    /// `host:port` that peers connect to, as they reach it from outside.
    pub endpoint: String,
    /// Addresses inside the tunnel.
    pub cidr: Ipv4Net,
    /// The gateway's address inside the tunnel; none: the first of `cidr`.
    pub gateway_address: Option<Ipv4Addr>,
}

impl Default for Vpn {
    fn default() -> Self {
        Self {
            enabled: false,
            endpoint: String::new(),
            cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 88, 0, 0), 16),
            gateway_address: None,
        }
    }
}

impl Gateway {
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some(name) = &self.tls_secret_name {
            require(
                is_dns_name(name),
                "gateway.tlsSecretName",
                name,
                "the name of a Secret in the operator's namespace",
            )?;
        }
        for (index, name) in self.extra_names.iter().enumerate() {
            let sound = name.parse::<IpAddr>().is_ok() || is_dns_name(name.strip_prefix("*.").unwrap_or(name));
            require(
                sound,
                &format!("gateway.extraNames[{index}]"),
                name,
                "a lower-case DNS name, with or without *. before it, or an IP address; no scheme, port or path",
            )?;
        }
        let vpn_without_gateway = self.vpn.enabled && !self.enabled;
        require(!vpn_without_gateway, "gateway.vpn.enabled", "true", "false while gateway.enabled is false")?;
        self.vpn.check()
    }
}

impl Vpn {
    /// The gateway's address inside the tunnel.
    #[must_use]
    pub fn gateway_address(&self) -> Ipv4Addr {
        self.gateway_address.or_else(|| self.cidr.hosts().next()).unwrap_or_else(|| self.cidr.addr())
    }

    fn check(&self) -> Result<(), Error> {
        let cidr = self.cidr.to_string();
        require(self.cidr.addr() == self.cidr.network(), "gateway.vpn.cidr", &cidr, "the first address of its range")?;
        require(
            (8..=30).contains(&self.cidr.prefix_len()),
            "gateway.vpn.cidr",
            &cidr,
            "an IPv4 range from /8 to /30, for example 10.88.0.0/16",
        )?;
        if let Some(address) = self.gateway_address {
            let host =
                self.cidr.contains(&address) && address != self.cidr.network() && address != self.cidr.broadcast();
            require(
                host,
                "gateway.vpn.gatewayAddress",
                &address.to_string(),
                "an address of a host inside gateway.vpn.cidr",
            )?;
        }
        if self.enabled || !self.endpoint.is_empty() {
            require(
                is_target(&self.endpoint),
                "gateway.vpn.endpoint",
                &self.endpoint,
                "host:port as peers reach it from outside, for example vpn.example.com:51820",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_address_is_the_first_unless_it_is_named() {
        assert_eq!(Vpn::default().gateway_address(), Ipv4Addr::new(10, 88, 0, 1));
        let named = Vpn { gateway_address: Some(Ipv4Addr::new(10, 88, 7, 7)), ..Vpn::default() };
        assert_eq!(named.gateway_address(), Ipv4Addr::new(10, 88, 7, 7));
    }
}
