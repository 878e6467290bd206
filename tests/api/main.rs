//! Tests against a real API server without a node: what it accepts and refuses, and what the operator writes to it.
//! Run by `make test-api`.
#![forbid(unsafe_code)]
#![allow(clippy::panic, reason = "a test says by a panic what it saw")]

mod crds;
mod drift;
mod reconcile;
mod refusals;
mod restart;
mod status;
