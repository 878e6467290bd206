//! Conditions and reasons.

use std::collections::BTreeSet;

use alcazar_contract::report::FetchReason;

use crate::{
    conditions::{ApiKeyCondition, DeploymentCondition, ModelCondition, VpnPeerCondition},
    reasons::{ApiKeyReason, DeploymentReason, ModelReason, VpnPeerReason},
};

fn check(names: &[(&str, &str)]) {
    assert!(!names.is_empty());
    let mut seen = BTreeSet::new();
    for (name, meaning) in names {
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && name.len() <= 128, "{name}");
        assert!(meaning.trim().ends_with('.') && meaning.trim().len() > 10, "{name}: {meaning}");
        assert!(seen.insert(*name), "{name} twice");
    }
}

#[test]
fn names_are_camel_case_and_explained() {
    check(&ModelCondition::ALL.iter().map(|c| (c.as_str(), c.meaning())).collect::<Vec<_>>());
    check(&DeploymentCondition::ALL.iter().map(|c| (c.as_str(), c.meaning())).collect::<Vec<_>>());
    check(&ApiKeyCondition::ALL.iter().map(|c| (c.as_str(), c.meaning())).collect::<Vec<_>>());
    check(&VpnPeerCondition::ALL.iter().map(|c| (c.as_str(), c.meaning())).collect::<Vec<_>>());
    check(&ApiKeyReason::ALL.iter().map(|r| (r.as_str(), r.meaning())).collect::<Vec<_>>());
    check(&VpnPeerReason::ALL.iter().map(|r| (r.as_str(), r.meaning())).collect::<Vec<_>>());
    check(&ModelReason::ALL.iter().map(|r| (r.as_str(), r.meaning())).collect::<Vec<_>>());
    check(&DeploymentReason::ALL.iter().map(|r| (r.as_str(), r.meaning())).collect::<Vec<_>>());
}

#[test]
fn names_can_be_read_back() {
    assert!(ModelReason::ALL.iter().all(|reason| ModelReason::from_name(reason.as_str()) == Some(*reason)));
    assert_eq!(DeploymentReason::from_name("Serving"), Some(DeploymentReason::Serving));
    assert_eq!(DeploymentReason::from_name("serving"), None);
    assert_eq!(ModelReason::Sealed.to_string(), "Sealed");
}

/// kstatus looks for these on any kind.
#[test]
fn both_kinds_have_the_conditions_of_kstatus() {
    for name in ["Ready", "Reconciling", "Stalled"] {
        assert!(ModelCondition::from_name(name).is_some() && DeploymentCondition::from_name(name).is_some(), "{name}");
    }
}

/// The next one in a ring through all, so that a new variant does not compile until it is here.
const fn next(reason: FetchReason) -> FetchReason {
    use FetchReason as R;
    match reason {
        R::SourceUnauthorized => R::SourceForbidden,
        R::SourceForbidden => R::SourceNotFound,
        R::SourceNotFound => R::SourceNotResolved,
        R::SourceNotResolved => R::SourceUnreachable,
        R::SourceUnreachable => R::SourceNotAllowed,
        R::SourceNotAllowed => R::DigestMismatch,
        R::DigestMismatch => R::InvalidModel,
        R::InvalidModel => R::UnsupportedModel,
        R::UnsupportedModel => R::VolumeFull,
        R::VolumeFull => R::VolumeFailed,
        R::VolumeFailed => R::InvalidSource,
        R::InvalidSource => R::SignatureMissing,
        R::SignatureMissing => R::SignatureInvalid,
        R::SignatureInvalid => R::KeyMissing,
        R::KeyMissing => R::KeyInvalid,
        R::KeyInvalid => R::SourceUnauthorized,
    }
}

#[test]
fn every_cause_of_a_failed_fetch_is_a_reason() {
    let mut reason = FetchReason::SourceUnauthorized;
    loop {
        assert!(ModelReason::from_name(reason.as_str()).is_some(), "{}", reason.as_str());
        reason = next(reason);
        if reason == FetchReason::SourceUnauthorized {
            break;
        }
    }
}
