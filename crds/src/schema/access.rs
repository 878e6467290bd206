//! Keys, tunnels and who they belong to.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    Rule,
    text::{bounded, described, patterned},
};

const DEPLOYMENT_NAME_RULE: Rule = Rule {
    rule: "self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message: "must be the name of an LlmDeployment: lower-case letters, digits and '-', beginning with a letter",
};

/// SHA-256 of an API key.
pub(crate) fn key_hash(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        128,
        &[Rule {
            rule: "self.matches('^[0-9a-f]{64}$')",
            message: "must be the SHA-256 of the whole key as 64 lower-case hex digits, never the key itself; \
                      printf %s \"$KEY\" | sha256sum prints it",
        }],
    )
}

/// The same in a status.
pub(crate) fn key_hash_observed(_: &mut SchemaGenerator) -> Schema {
    patterned(64, 64, "^[0-9a-f]{64}$")
}

/// Names of the `LlmDeployment`s that a key opens.
pub(crate) fn deployment_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "x-kubernetes-list-type": "set",
        "items": described(bounded(1, 48, &[DEPLOYMENT_NAME_RULE]), "Name of an LlmDeployment of this namespace."),
    })
}

/// Whom something belongs to, in words.
pub(crate) fn owner(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        253,
        &[Rule {
            rule: "self.matches('^[^[:cntrl:]]*[^[:cntrl:][:space:]][^[:cntrl:]]*$')",
            message: "must say in one line whom it belongs to, for example ana@example.com",
        }],
    )
}

/// A moment.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 64})
}

/// A day in UTC.
pub(crate) fn day(_: &mut SchemaGenerator) -> Schema {
    patterned(10, 10, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
}

/// `WireGuard`'s public key: 32 bytes in base64, so the last character before '=' carries four bits.
pub(crate) fn wireguard_key(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        64,
        &[Rule {
            rule: "self.matches('^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$')",
            message: "must be a WireGuard public key: 44 characters of base64, as wg pubkey prints it",
        }],
    )
}

/// Address of a peer inside the tunnel.
pub(crate) fn tunnel_address(_: &mut SchemaGenerator) -> Schema {
    bounded(
        1,
        64,
        &[Rule {
            rule: "isIP(self) && ip(self).family() == 4",
            message: "must be one IPv4 address without a prefix length, for example 10.88.0.7",
        }],
    )
}

/// Name of a key or a certificate's subject in a status.
pub(crate) fn identity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 512})
}
