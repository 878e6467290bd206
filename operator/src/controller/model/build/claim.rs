//! The volume of a model. Pure.

use std::collections::BTreeMap;

use alcazar_contract::labels;
use alcazar_crds::llm_model::Retention;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use kube::api::ObjectMeta;

use super::super::validate::{Storage, claim_name};
use crate::children::Owner;

pub(super) fn build_claim(owner: &Owner, storage: &Storage) -> PersistentVolumeClaim {
    let requests = BTreeMap::from([("storage".to_owned(), storage.size.clone())]);
    PersistentVolumeClaim {
        metadata: metadata(owner, storage.retention),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(storage.modes.clone()),
            storage_class_name: storage.class.clone(),
            resources: Some(VolumeResourceRequirements { requests: Some(requests), ..Default::default() }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// A volume whose files still serve although the source is another one by now: it stays as it is.
pub(super) fn keep_claim(owner: &Owner, own: &PersistentVolumeClaim) -> PersistentVolumeClaim {
    let is_ours = own.metadata.owner_references.iter().flatten().any(|reference| reference.uid == owner.uid);
    let spec = own.spec.clone().unwrap_or_default();
    PersistentVolumeClaim {
        metadata: metadata(owner, if is_ours { Retention::Delete } else { Retention::Retain }),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: spec.access_modes,
            storage_class_name: spec.storage_class_name,
            resources: spec.resources,
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// A volume that is to be retained has no owner: nothing deletes it with the model.
fn metadata(owner: &Owner, retention: Retention) -> ObjectMeta {
    let name = claim_name(&owner.name);
    match retention {
        Retention::Delete => owner.metadata(&name, labels::COMPONENT_FETCH),
        Retention::Retain => owner.metadata_unowned(&name, labels::COMPONENT_FETCH),
    }
}
