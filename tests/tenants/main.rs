//! Who may do what, on a real API server without a node: people in their namespaces, the operator with its own account.
//!
//! Run by `make test-api`. Needs target/cluster-bin/helm, since what is tried is what the chart grants.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a program of tests alone: a panic is how a test tells that it failed")]

mod admission;
mod chart;
mod cli;
mod least_privilege;
mod namespace_admin;
mod sources;
