//! `spec.access`: by which door people come to the model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// By which door people come to the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// `Gateway`: the pods answer the gateway alone, which asks everybody for an LlmApiKey of this namespace.
    /// `Direct`: the pods also answer the peers of `network.allowFrom`, without a key.
    #[serde(default)]
    pub mode: AccessMode,
}

/// Whom the pods answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// The gateway.
    #[default]
    Gateway,
    /// The gateway, and peers without a key.
    Direct,
}

impl AccessMode {
    /// As the CRD writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::Direct => "Direct",
        }
    }
}
