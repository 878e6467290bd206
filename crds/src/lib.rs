//! The kinds of Alcazar: types, schema and rules. No client, no IO.
//!
//! ```text
//!                 spec.modelName, or spec.model (makes an owned LlmModel of the same name)
//!   LlmDeployment ───────────────────────────────────────────────► LlmModel
//!     │  owns                                                        │  owns
//!     ├── Deployment ── pods ── mount read-only ──────────────┐      ├── Job M-fetch-… ── writes once ──┐
//!     ├── Service, Service X-pods                             │      ├── NetworkPolicy M-fetch          │
//!     ├── NetworkPolicy X-serve                               ▼      ├── ServiceAccount M-fetch         ▼
//!     ├── ServiceAccount, Secret X-tls            PersistentVolumeClaim M-weights, or the claim that
//!     └── PodDisruptionBudget                     source.persistentVolumeClaim names
//!
//!   LlmApiKey   opens the LlmDeployments of its namespace at the gateway; owns a Secret if it asked for one
//!   LlmVpnPeer  lets one WireGuard peer reach the gateway
//! ```
//!
//! The doc comment on every field is what users read in `kubectl explain` and in
//! docs/reference/kinds.md: meaning, unit, default, example. What a type cannot say stands in the
//! schema as a bound, and what spans fields as a CEL rule with a message that says what to write.
//! [`manifest`] makes the installable CRDs of it, [`reference`] the page; [`generated`] names their
//! files, and `crdgen` writes them.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod conditions;
pub mod generated;
pub mod grant;
pub mod llm_api_key;
pub mod llm_deployment;
pub mod llm_model;
pub mod llm_vpn_peer;
pub mod manifest;
pub mod reasons;
pub mod reference;
pub(crate) mod schema;
#[cfg(test)]
mod tests;

/// API group of all kinds.
pub const GROUP: &str = "alcazar.dev";
/// The one version that is served and stored.
pub const VERSION: &str = "v1alpha1";
/// Longest name of an object, so that every child's name stays a DNS label.
pub const NAME_MAX_LENGTH: usize = 48;
