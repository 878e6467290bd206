//! The chart as helm renders it: what is asserted here holds for every install, not only for the demo's.
//!
//! Needs target/cluster-bin/helm (`make cluster-bin`), and no cluster.
#![forbid(unsafe_code)]
#![allow(clippy::panic, reason = "a test says by a panic what it saw")]

mod crds;
mod firewall;
mod monitoring;
mod pods;
mod rbac;
mod render;
mod settings;
mod values;
