//! Settings that hold for every model: what it must have, and what its isolation is tried with.

use serde::Deserialize;

use super::{Error, is_address, is_dns_name, require};

/// What every model of the cluster must have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Require {
    /// `spec.digest`.
    pub digest: bool,
    /// `spec.signature`.
    pub signature: bool,
    /// `spec.encryption`.
    pub encryption: bool,
    /// A storage class among these; empty: any.
    pub storage_class_names: Vec<String>,
}

impl Require {
    pub(super) fn check(&self) -> Result<(), Error> {
        for (index, name) in self.storage_class_names.iter().enumerate() {
            let field = format!("require.storageClassNames[{index}]");
            require(is_dns_name(name), &field, name, "the name of a StorageClass")?;
        }
        Ok(())
    }
}

/// What the proof of isolation tries besides what it always tries.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Isolation {
    /// Address and port outside the cluster that answer whoever may leave it; empty: none is tried.
    pub public_target: String,
    /// Further ones, address and port.
    pub extra_targets: Vec<String>,
}

impl Isolation {
    pub(super) fn check(&self) -> Result<(), Error> {
        let expected = "an IP address and a port, for example 203.0.113.7:443: a model pod resolves no names";
        if !self.public_target.is_empty() {
            require(is_address(&self.public_target), "isolation.publicTarget", &self.public_target, expected)?;
        }
        for (index, target) in self.extra_targets.iter().enumerate() {
            require(is_address(target), &format!("isolation.extraTargets[{index}]"), target, expected)?;
        }
        Ok(())
    }
}
