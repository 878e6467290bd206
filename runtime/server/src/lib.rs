//! alcazar-runtime: serves one model over an OpenAI-compatible API, and fetches and verifies it.
//!
//! ```text
//!  main ─► cli ─► serve ─► isolation ─► digest ─► load ─► engine_thread ◄── answer ◄── api ◄── listen (TLS) ◄── clients
//!                   │                                                                   probe ◄── kubelet, Prometheus, operator
//!                   └► jobs (fetch, verify, inspect) ─► alcazar-store
//! ```
//! The engine's thread never waits for a client, and no client's text is ever logged.
#![forbid(unsafe_code)]

mod adapters;
mod answer;
mod api;
mod app;
mod benchmark;
pub mod cli;
mod constraint;
mod device;
mod dumps;
mod encoder_thread;
mod engine_thread;
mod isolation;
mod jobs;
mod language;
mod limits;
mod listen;
mod load;
mod metrics;
mod probe;
mod run;
mod serve;
mod tls;

#[cfg(test)]
mod test_support;

pub use run::run;
