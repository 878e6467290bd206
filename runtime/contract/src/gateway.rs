//! The gateway: names of the objects that the operator makes for it, and the form of an API key.

/// Secret in the operator's namespace with the certificate that the gateway shows to model pods and to its peers.
pub const CLIENT_SECRET: &str = "alcazar-gateway-client";
/// DNS name in that certificate: what a model pod asks for.
pub const CLIENT_NAME: &str = "alcazar-gateway";
/// Secret in the operator's namespace with the certificate of the public API, unless the settings name another one.
pub const TLS_SECRET: &str = "alcazar-gateway-tls";
/// Service in front of the gateway pods.
pub const SERVICE: &str = "alcazar-gateway";
/// Headless Service of the ready gateway pods, on [`GATEWAY_PEER_PORT`](crate::GATEWAY_PEER_PORT).
pub const PEERS_SERVICE: &str = "alcazar-gateway-peers";
/// Writer of `lastUsedTime`, `usage` and what is known of tunnels in the status of keys and peers.
pub const FIELD_MANAGER: &str = "alcazar-gateway";

/// Secret (private key) and ConfigMap (what peers need to know) of the VPN, in the operator's namespace.
pub mod vpn {
    /// Name of both objects, and of the UDP Service.
    pub const NAME: &str = "alcazar-vpn";
    /// Entry of the Secret: WireGuard's private key, base64.
    pub const PRIVATE_KEY: &str = "privateKey";
    /// Entry of the ConfigMap: WireGuard's public key, base64.
    pub const PUBLIC_KEY: &str = "publicKey";
    /// Entry of the ConfigMap: `host:port` that peers connect to.
    pub const ENDPOINT: &str = "endpoint";
    /// Entry of the ConfigMap: the tunnel's addresses, CIDR.
    pub const CIDR: &str = "cidr";
    /// Entry of the ConfigMap: the gateway's address inside the tunnel.
    pub const GATEWAY_ADDRESS: &str = "gatewayAddress";
}

/// The form of an API key: [`PREFIX`](key::PREFIX) and 32 random bytes in base64url without padding.
pub mod key {
    /// What every key begins with.
    pub const PREFIX: &str = "alc_";
    /// Random bytes of a key.
    pub const RANDOM_BYTES: usize = 32;
    /// Characters of a whole key.
    pub const LENGTH: usize = 47;
    /// Entry of the Secret that the operator makes for `spec.secretName` of an `LlmApiKey`.
    pub const SECRET_ENTRY: &str = "key";
}
