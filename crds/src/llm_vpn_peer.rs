//! `LlmVpnPeer`: a device that may reach the gateway through its tunnel.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{grant::GrantState, schema};

/// Which device it is, whose, and its address.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "alcazar.dev",
    version = "v1alpha1",
    kind = "LlmVpnPeer",
    plural = "llmvpnpeers",
    singular = "llmvpnpeer",
    shortname = "llmvpn",
    category = "alcazar",
    namespaced,
    status = "LlmVpnPeerStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A WireGuard peer that may reach the gateway, and nothing else, through its tunnel. It holds a public key, so it may be committed to Git.",
    selectable = ".spec.owner",
    selectable = ".spec.address",
    selectable = ".spec.state",
    validation = (schema::NAME_RULE, schema::NAME_MESSAGE),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"True while the peer may connect."}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why it may or not; the sentence is in the condition's message."}"#,
    printcolumn = r#"{"name":"Owner","type":"string","jsonPath":".spec.owner","description":"Whom the device belongs to."}"#,
    printcolumn = r#"{"name":"Address","type":"string","jsonPath":".spec.address","description":"Its address inside the tunnel."}"#,
    printcolumn = r#"{"name":"Handshake","type":"date","jsonPath":".status.lastHandshakeTime","description":"How long ago it last agreed on a session key."}"#,
    printcolumn = r#"{"name":"Expires","type":"string","priority":1,"jsonPath":".spec.expiresAt","description":"From when on it is dropped."}"#,
    printcolumn = r#"{"name":"Received","type":"integer","priority":1,"jsonPath":".status.receivedBytes","description":"Bytes from the peer."}"#,
    printcolumn = r#"{"name":"Sent","type":"integer","priority":1,"jsonPath":".status.sentBytes","description":"Bytes to the peer."}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct LlmVpnPeerSpec {
    /// The device's WireGuard public key, 44 characters of base64. Its private key never leaves the device.
    #[schemars(schema_with = "schema::wireguard_key")]
    pub public_key: String,
    /// The device's IPv4 address inside the tunnel: in the range of the operator's settings, not the gateway's, and no
    /// other peer's. Example: `10.88.0.7`.
    #[schemars(schema_with = "schema::tunnel_address")]
    pub address: String,
    /// Whom the device belongs to, in one line of at most 253 characters. Example: `ana@example.com`.
    #[schemars(schema_with = "schema::owner")]
    pub owner: String,
    /// From when on the peer is dropped, RFC 3339. Default: never. Example: `2027-01-01T00:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub expires_at: Option<Time>,
    /// `Revoked` drops the peer within five seconds. It can be made `Active` again; deleting the object revokes for
    /// good.
    #[serde(default)]
    pub state: GrantState,
}

/// What is known of the peer. `observedGeneration` and `conditions` are the operator's, the rest is the gateway's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LlmVpnPeerStatus {
    /// `metadata.generation` that this status describes; -1 until the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::observed_generation")]
    pub observed_generation: Option<i64>,
    /// `Ready` says whether the peer may connect. `Stalled` is there only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// When peer and gateway last agreed on a session key; a connected peer does so every two minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_handshake_time: Option<Time>,
    /// Bytes that came from the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count64")]
    pub received_bytes: Option<i64>,
    /// Bytes that went to the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count64")]
    pub sent_bytes: Option<i64>,
}
