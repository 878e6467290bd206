//! What the tests above the unit share: a cluster, namespaces of their own, waiting that tells what it saw.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a library for tests alone: a panic is how a test tells that it failed")]

pub mod apply;
pub mod cluster;
pub mod gateway;
pub mod kinds;
pub mod kubelet;
pub mod namespace;
pub mod operator;
pub mod pod;
pub mod wait;

pub use cluster::Cluster;
pub use namespace::TestNamespace;
