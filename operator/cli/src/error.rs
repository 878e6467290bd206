//! Why a command failed, in words for the person at the keyboard.

use std::{io, path::PathBuf};

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "failed to understand --expires {text:?}: expected a span such as 90d or 12h, a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z"
    )]
    Expiry { text: String },
    #[error("failed to accept --expires {text:?}: it is over already")]
    Past { text: String },
    #[error("failed to accept {what} {found:?}: expected {expected}")]
    Value { what: &'static str, found: String, expected: &'static str },
    #[error(
        "failed to find a free address in {cidr}: all are taken; give one with --address, or a larger cidr to the gateway"
    )]
    Full { cidr: String },
    #[error("failed to accept --address {address}: {why}")]
    Address { address: String, why: String },
    #[error(
        "failed to know the VPN's server: give --server-key, --endpoint and --gateway-address, or let alcazar read ConfigMap alcazar-vpn in namespace {namespace} of the cluster: {why}"
    )]
    Server { namespace: String, why: String },
    #[error("failed to reach the cluster: {why}; check KUBECONFIG, or `kubectl version`")]
    Cluster { why: String },
    #[error("failed to {action}: {why}")]
    Api { action: String, why: String },
    #[error(
        "failed to find namespace {namespace}: the cluster has none of that name; `kubectl get namespaces` lists them"
    )]
    Namespace { namespace: String },
    #[error("failed to accept the model: {why}")]
    Signature { why: String },
    #[error("failed to accept the audit log: {why}")]
    Audit { why: String },
    #[error("failed to read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("failed to write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("failed to write to standard output: {source}")]
    Stdout { source: io::Error },
    #[error("failed to read random bytes of the system: {why}")]
    Random { why: String },
    #[error("failed to start the async runtime: {source}")]
    Runtime { source: io::Error },
}

impl Error {
    /// 2 where other arguments help, as clap does; 1 for the rest.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Expiry { .. }
            | Self::Past { .. }
            | Self::Value { .. }
            | Self::Full { .. }
            | Self::Address { .. }
            | Self::Server { .. } => 2,
            Self::Cluster { .. }
            | Self::Api { .. }
            | Self::Namespace { .. }
            | Self::Signature { .. }
            | Self::Audit { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Stdout { .. }
            | Self::Random { .. }
            | Self::Runtime { .. } => 1,
        }
    }
}
