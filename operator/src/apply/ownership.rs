//! Whether an object of the wanted name is ours to write. Pure.

use std::collections::BTreeMap;

use alcazar_contract::labels;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use serde::Deserialize as _;
use serde_json::Value;

use super::{Error, Place};
use crate::{children::Owner, secrets::SecretMeta};

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    /// This owner's: write it.
    Ours,
    /// An earlier owner's of the same name, about to be collected, or on its way out: wait.
    Leaving,
    /// Somebody else's: keep off.
    Foreign {
        /// Who holds it, for the message.
        holder: String,
    },
}

impl Ownership {
    pub(super) fn check(self, at: &Place) -> Result<(), Error> {
        match self {
            Self::Ours => Ok(()),
            Self::Leaving => Err(Error::Leaving { kind: at.kind.clone(), key: at.key.clone() }),
            Self::Foreign { holder } => Err(Error::NameConflict { kind: at.kind.clone(), key: at.key.clone(), holder }),
        }
    }
}

/// Of an object as the store or the API server has it.
pub(super) fn of_object(live: &Value, terminating: bool, owner: &Owner) -> Ownership {
    let meta: ObjectMeta = live.get("metadata").and_then(|meta| ObjectMeta::deserialize(meta).ok()).unwrap_or_default();
    let controller = live_controller(&meta);
    judge(
        &Marks {
            controller_uid: controller.map(|reference| reference.uid.as_str()),
            controller_name: controller.map(|reference| format!("{} {}", reference.kind, reference.name)),
            labels: meta.labels.as_ref().unwrap_or(&BTreeMap::new()),
            annotations: meta.annotations.as_ref().unwrap_or(&BTreeMap::new()),
            leaving: terminating,
        },
        owner,
    )
}

fn live_controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|reference| reference.controller == Some(true))
}

/// Of a Secret.
pub(super) fn of_secret(live: &SecretMeta, owner: &Owner) -> Ownership {
    judge(
        &Marks {
            controller_uid: live.controller_uid.as_deref(),
            controller_name: live.controller_uid.clone().map(|uid| format!("the owner with uid {uid}")),
            labels: &live.labels,
            annotations: &live.annotations,
            leaving: false,
        },
        owner,
    )
}

struct Marks<'a> {
    controller_uid: Option<&'a str>,
    controller_name: Option<String>,
    labels: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
    leaving: bool,
}

fn judge(marks: &Marks<'_>, owner: &Owner) -> Ownership {
    let label = marks.labels.get(owner.kind.label());
    let stamped = marks.annotations.contains_key(labels::APPLIED_HASH);
    match marks.controller_uid {
        Some(uid) if uid == owner.uid => Ownership::Ours,
        Some(_) if stamped && label == Some(&owner.name) => Ownership::Leaving,
        // Stripped of its labels, but of an owner of the same kind and name: an earlier one, about to be collected.
        Some(_) if stamped && label.is_none() && marks.controller_name == Some(owner_name(owner)) => Ownership::Leaving,
        Some(_) => Ownership::Foreign { holder: describe(marks.controller_name.as_deref()) },
        None if stamped && label.is_none_or(|name| *name == owner.name) => {
            if marks.leaving {
                Ownership::Leaving
            } else {
                Ownership::Ours
            }
        }
        None => Ownership::Foreign { holder: describe(None) },
    }
}

fn owner_name(owner: &Owner) -> String {
    format!("{} {}", owner.reference.kind, owner.reference.name)
}

fn describe(holder: Option<&str>) -> String {
    holder.map_or_else(|| "somebody else, without an owner reference".to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::children::OwnerKind;

    fn owner() -> Owner {
        Owner {
            kind: OwnerKind::Model,
            namespace: "team".into(),
            name: "m".into(),
            uid: "u1".into(),
            reference: OwnerReference::default(),
            propagated: BTreeMap::new(),
        }
    }

    fn live(controller: Option<&str>, stamped: bool, label: Option<&str>) -> ObjectMeta {
        let text = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        ObjectMeta {
            owner_references: controller.map(|uid| {
                let (kind, name) = ("LlmModel".into(), "m".into());
                vec![OwnerReference { uid: uid.into(), controller: Some(true), kind, name, ..Default::default() }]
            }),
            annotations: stamped.then(|| text(labels::APPLIED_HASH, "x")),
            labels: label.map(|name| text(labels::MODEL, name)),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn tells_ours_from_others() {
        let verdict = |meta: ObjectMeta| of_object(&serde_json::json!({ "metadata": meta }), false, &owner());
        assert_eq!(verdict(live(Some("u1"), false, None)), Ownership::Ours, "all marks but the owner taken away");
        assert_eq!(verdict(live(Some("u0"), true, Some("m"))), Ownership::Leaving, "of an earlier owner");
        assert!(matches!(verdict(live(Some("u0"), false, None)), Ownership::Foreign { .. }));
        assert!(matches!(verdict(live(None, false, None)), Ownership::Foreign { .. }), "a bare object");
        assert_eq!(verdict(live(None, true, Some("m"))), Ownership::Ours, "a retained volume");
        assert!(matches!(verdict(live(None, true, Some("other"))), Ownership::Foreign { .. }));
        let retained = serde_json::json!({ "metadata": live(None, true, Some("m")) });
        assert_eq!(of_object(&retained, true, &owner()), Ownership::Leaving, "a retained volume on its way out");
    }
}
