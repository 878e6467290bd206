//! The file a person gives to `wg-quick` or to WireGuard's app.

use std::net::Ipv4Addr;

use zeroize::Zeroizing;

use crate::{PrivateKey, PublicKey, config::LARGEST_MTU};

/// Seconds between packets that keep a NAT's mapping alive.
const KEEP_ALIVE: u16 = 25;

#[derive(Clone, Debug)]
pub struct WgQuick<'a> {
    pub private_key: &'a PrivateKey,
    /// The person's, inside the tunnel.
    pub address: Ipv4Addr,
    /// The gateway's.
    pub public_key: PublicKey,
    /// Where the gateway is reached: `host:port`.
    pub endpoint: &'a str,
    /// The one address that goes through the tunnel.
    pub gateway_address: Ipv4Addr,
}

impl WgQuick<'_> {
    /// The whole file; the private key is in it. None when `endpoint` could be more than one value.
    pub fn render(&self) -> Option<Zeroizing<String>> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]_".contains(c);
        if self.endpoint.is_empty() || !self.endpoint.chars().all(plain) {
            return None;
        }
        let Self { address, public_key, endpoint, gateway_address, .. } = self;
        Some(Zeroizing::new(format!(
            "[Interface]\n\
             PrivateKey = {}\n\
             Address = {address}/32\n\
             MTU = {LARGEST_MTU}\n\
             \n\
             [Peer]\n\
             PublicKey = {public_key}\n\
             Endpoint = {endpoint}\n\
             AllowedIPs = {gateway_address}/32\n\
             PersistentKeepalive = {KEEP_ALIVE}\n",
            *self.private_key.encode()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(endpoint: &str) -> Option<Zeroizing<String>> {
        let private_key = PrivateKey::from_bytes(&[7; 32]);
        let public_key = PrivateKey::from_bytes(&[9; 32]).public();
        let (address, gateway_address) = (Ipv4Addr::new(10, 88, 0, 7), Ipv4Addr::new(10, 88, 0, 1));
        WgQuick { private_key: &private_key, address, public_key, endpoint, gateway_address }.render()
    }

    #[test]
    fn the_file_is_what_wg_quick_reads() {
        insta_like(&file("vpn.example.com:51820").unwrap());
    }

    fn insta_like(text: &str) {
        let lines: Vec<_> = text.lines().filter(|line| !line.contains("Key = ")).collect();
        assert_eq!(
            lines,
            [
                "[Interface]",
                "Address = 10.88.0.7/32",
                "MTU = 1420",
                "",
                "[Peer]",
                "Endpoint = vpn.example.com:51820",
                "AllowedIPs = 10.88.0.1/32",
                "PersistentKeepalive = 25",
            ]
        );
        let keys: Vec<_> = text.lines().filter_map(|line| line.split_once("Key = ")).collect();
        assert_eq!(keys.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["Private", "Public"]);
        assert!(keys.iter().all(|(_, key)| key.len() == 44));
    }

    #[test]
    fn an_endpoint_cannot_bring_lines_of_its_own() {
        for endpoint in ["", "vpn:51820\nPostUp = id", "vpn:51820 # x", "vpn:51820\r"] {
            assert!(file(endpoint).is_none(), "{endpoint:?}");
        }
        assert!(file("[2001:db8::1]:51820").is_some());
    }
}
