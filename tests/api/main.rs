//! Tests against a real API server without a node: what it accepts and refuses, and what the operator writes to it.
//! Run by `make test-api`.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a program of tests alone: a panic is how a test tells that it failed")]

mod authority;
mod cilium;
mod crds;
mod drift;
mod keys;
mod peers;
mod reconcile;
mod refusals;
mod restart;
mod status;
