//! alcazar-gateway: one OpenAI-compatible endpoint for all models of a cluster.
//!
//! ```text
//!  clients ─► listen (TLS) ─► gateway ─► key ─► request ─► quota::desk ◄──► other replicas (mutual TLS)
//!  VPN ─────►                    │                            └─► usage ─► LlmApiKey status
//!                                └► forward ─► balance ─► upstream (mutual TLS) ─► model pods
//!                                                            │
//!  clients ◄── answer ◄── meter (tokens, revocation) ◄───────┘     session ─► audit, metrics
//!
//!  API server ─► watch ─► world (one value, replaced as a whole) ─► everything above
//! ```
//! No prompt, no answer and no key is logged, counted by its text, or kept, but where a deployment says `promptLogging:
//! Enabled`.
#![forbid(unsafe_code)]

mod adapters;
mod answer;
pub mod audit;
mod balance;
pub mod cli;
mod error;
mod forward;
mod gateway;
mod headers;
mod key;
mod listen;
mod meter;
mod metrics;
mod models;
mod probe;
mod quota;
mod request;
mod route;
pub mod run;
mod session;
pub mod settings;
mod tls;
mod upstream;
mod usage;
mod vpn;
mod watch;
mod world;

pub use listen::Listener;

#[cfg(test)]
mod process_tests;
