//! Tests against a real API server without a node: what it accepts and refuses, and what the operator writes to it.
//! Run by `make test-api`.
#![forbid(unsafe_code)]

mod crds;
mod reconcile;
mod refusals;
mod status;
