//! What keys and VPN peers share: a right that somebody has until it is taken back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the right holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum GrantState {
    /// It holds, until it expires.
    #[default]
    Active,
    /// It was taken back.
    Revoked,
}
