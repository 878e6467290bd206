//! The Secret with a key. Pure.

use std::collections::BTreeMap;

use alcazar_contract::{gateway::key::SECRET_ENTRY, labels};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;

use super::{ApiKey, Validated};
use crate::children::{OwnerKind, Prepared, Resources};

pub(crate) fn build(valid: &Validated, secret_name: &str, key: &ApiKey) -> Resources<Prepared> {
    let owner = &valid.owner;
    let mut all = owner.propagated.clone();
    all.insert(OwnerKind::ApiKey.label().to_owned(), owner.name.clone());
    all.insert(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned());
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(secret_name.to_owned()),
            namespace: Some(owner.namespace.clone()),
            labels: Some(all),
            owner_references: Some(vec![owner.reference.clone()]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(SECRET_ENTRY.to_owned(), ByteString(key.expose().as_bytes().to_vec()))])),
        ..Secret::default()
    };
    Resources { secrets: vec![secret], ..Resources::default() }
}
