//! `spec.storage`: the volume that the operator makes for a model.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{self, Rule, rules};

/// Size of the claim when `spec.storage.size` is not given.
pub const DEFAULT_SIZE: &str = "20Gi";

/// The claim that holds the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelStorage {
    /// Size of the volume, 1Mi to 1Pi. Room for the files twice lets a new revision be fetched while the old one
    /// serves. It can grow where the storage class allows it, and never shrink. Default: `20Gi`. Example: `40Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::storage_quantity")]
    pub size: Option<Quantity>,
    /// Name of the StorageClass. It cannot be changed later. Default: the operator's setting, else the cluster's
    /// default class. Example: `fast-encrypted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub storage_class_name: Option<String>,
    /// How nodes may mount the volume: `ReadWriteOnce` (one node at a time), `ReadWriteMany` (all nodes) or
    /// `ReadOnlyMany`. Replicas on several nodes need `ReadWriteMany`. Cannot be changed later.
    /// Default: `[ReadWriteOnce]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 3),
        extend("x-kubernetes-list-type" = "set", "x-kubernetes-validations" = rules(&[Rule {
            rule: "self.exists(m, m == 'ReadWriteOnce' || m == 'ReadWriteMany')",
            message: "must hold ReadWriteOnce or ReadWriteMany: the fetch writes to the volume once",
        }]))
    )]
    pub access_modes: Vec<AccessMode>,
    /// What happens to the volume when the model is deleted: `Delete` frees it, `Retain` keeps the claim with its
    /// files. Can be changed at any time.
    #[serde(default)]
    pub retention: Retention,
}

/// How nodes may mount a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// Read and write on one node at a time.
    ReadWriteOnce,
    /// Read and write on all nodes.
    ReadWriteMany,
    /// Read on all nodes.
    ReadOnlyMany,
}

impl AccessMode {
    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteMany => "ReadWriteMany",
            Self::ReadOnlyMany => "ReadOnlyMany",
        }
    }
}

/// What happens to the volume when its model is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Retention {
    /// The claim is deleted with the model.
    #[default]
    Delete,
    /// The claim stays.
    Retain,
}
