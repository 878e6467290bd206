//! What the tests above the unit share: a cluster, namespaces of their own, waiting that tells what it saw.
#![forbid(unsafe_code)]
#![allow(clippy::panic, reason = "test code in a library: to panic is how it says what it saw")]

pub mod apply;
pub mod cluster;
pub mod kinds;
pub mod kubelet;
pub mod namespace;
pub mod operator;
pub mod pod;
pub mod wait;

pub use cluster::Cluster;
pub use namespace::TestNamespace;
