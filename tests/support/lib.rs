//! What the tests above the unit share: a cluster, namespaces of their own, waiting that tells what it saw.
#![forbid(unsafe_code)]

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
