//! Reasons on the conditions of `LlmVpnPeer`.

use super::closed_enum;

closed_enum! {
    /// Why a condition of an `LlmVpnPeer` has its status.
    pub enum VpnPeerReason {
        /// The peer may connect.
        Active,
        /// The operator has not got to it yet.
        Pending,
        /// state is Revoked: the peer is dropped, on purpose.
        Revoked,
        /// expiresAt has passed: the peer is dropped.
        Expired,
        /// The address belongs to an older peer or to the gateway; the message names it and a free address.
        AddressInUse,
        /// The address is not in the tunnel's range; the message names the range and a free address.
        AddressOutside,
        /// An older LlmVpnPeer has the same public key and counts; the message names it. Make a new pair of keys.
        KeyInUse,
        /// This installation has no VPN; its settings have `gateway.vpn.enabled: false`.
        VpnDisabled,
        /// The spec cannot work although the API server took it; the message names the field and what to write.
        InvalidSpec,
    }
}
