//! The file for `wg-quick` and the WireGuard apps, and its picture. Pure.

use std::net::Ipv4Addr;

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// Every 25 seconds a packet, so that routers with address translation keep the way back open.
const KEEPALIVE_SECONDS: u16 = 25;

/// What a peer must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The peer's private key.
    pub private_key: String,
    /// The peer's address in the tunnel.
    pub address: Ipv4Addr,
    /// The server's public key.
    pub server_key: String,
    /// Where the server listens, `host:port`.
    pub endpoint: String,
    /// The one address that answers in the tunnel.
    pub gateway: Ipv4Addr,
}

/// The whole file. Only the gateway's address goes through the tunnel: everything else of the machine goes as before.
#[must_use]
pub fn file(tunnel: &Tunnel) -> String {
    let Tunnel { private_key, address, server_key, endpoint, gateway } = tunnel;
    format!(
        "[Interface]\nPrivateKey = {private_key}\nAddress = {address}/32\n\n[Peer]\nPublicKey = {server_key}\n\
         Endpoint = {endpoint}\nAllowedIPs = {gateway}/32\nPersistentKeepalive = {KEEPALIVE_SECONDS}\n"
    )
}

/// The file as a QR code of half blocks, for the camera of a phone; `None` if it were too large for one.
#[must_use]
pub fn picture(file: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(file, EcLevel::L).ok()?;
    // On a dark terminal the light modules are the blocks, which is what readers expect.
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build())
}

/// `host:port` with a port, IPv6 in brackets.
#[must_use]
pub fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-'),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_wg_quick_reads() {
        let tunnel = Tunnel {
            private_key: "cHJpdmF0ZQ==".to_owned(),
            address: Ipv4Addr::new(10, 88, 0, 2),
            server_key: "c2VydmVy".to_owned(),
            endpoint: "vpn.example.com:51820".to_owned(),
            gateway: Ipv4Addr::new(10, 88, 0, 1),
        };
        let expected = "[Interface]\nPrivateKey = cHJpdmF0ZQ==\nAddress = 10.88.0.2/32\n\n[Peer]\nPublicKey = c2VydmVy\n\
                        Endpoint = vpn.example.com:51820\nAllowedIPs = 10.88.0.1/32\nPersistentKeepalive = 25\n";
        assert_eq!(file(&tunnel), expected);
        let picture = picture(expected).unwrap();
        assert!(picture.lines().count() > 20 && picture.contains('▀'), "{picture}");
    }

    #[test]
    fn knows_endpoints() {
        for good in ["vpn.example.com:51820", "192.0.2.1:1", "[2001:db8::1]:51820"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in ["", "vpn.example.com", ":51820", "a:0", "a:70000", "2001:db8::1:51820", "a b:1", "a\nPostUp = x:1"]
        {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
}
