//! The chart as helm renders it: what is asserted here holds for every install, not only for the demo's.
//!
//! Needs target/cluster-bin/helm (`make cluster-bin`), and no cluster.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a program of tests alone: a panic is how a test tells that it failed")]

mod crds;
mod firewall;
mod gateway;
mod monitoring;
mod pods;
mod rbac;
mod render;
mod settings;
mod values;
