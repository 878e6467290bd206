//! From a validated model and a plan to the objects that are to be there. Pure and infallible.

mod cilium;
mod claim;
mod job;
mod keys;
mod network_policy;
mod service_account;

use std::collections::BTreeMap;

use alcazar_contract::labels;
use k8s_openapi::{api::core::v1::PersistentVolumeClaim, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{
    observe::reach::Reach,
    plan::Plan,
    validate::{ValidatedModel, Work},
};
use crate::{
    children::{Prepared, Resources},
    settings::Settings,
};

/// Annotation of the firewall: what the last attempt was to bring.
const FETCH_ID: &str = "alcazar.dev/fetch-id";
/// Annotation of the firewall: whom the last attempt may talk to.
const REACH: &str = "alcazar.dev/reach";

/// What the objects depend on beside the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// Images, pull secrets, allowed hosts.
    pub(crate) settings: &'a Settings,
    /// The operator asks the pods how far they are.
    pub(crate) operator_namespace: &'a str,
}

/// What is kept beside the firewall, so that a restart need not resolve names again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) id: String,
    pub(crate) reach: Reach,
}

impl Recorded {
    pub(crate) fn read(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let reach = serde_json::from_str(annotations.get(REACH)?).ok()?;
        Some(Self { id: annotations.get(FETCH_ID)?.clone(), reach })
    }

    fn write(&self) -> BTreeMap<String, String> {
        let reach = serde_json::to_string(&self.reach).unwrap_or_default();
        BTreeMap::from([(FETCH_ID.to_owned(), self.id.clone()), (REACH.to_owned(), reach)])
    }
}

/// Name of the ServiceAccount and the NetworkPolicy of the fetch.
pub(crate) fn fetch_name(model: &str) -> String {
    format!("{model}-fetch")
}

/// All children. `own_claim` is the volume of ours as it is: one that is only kept stays as it is.
pub(crate) fn build(
    valid: &ValidatedModel,
    plan: &Plan,
    own_claim: Option<&PersistentVolumeClaim>,
    site: Site<'_>,
) -> Resources<Prepared> {
    let claim = match &valid.work {
        Work::Fetch { storage, .. } => Some(claim::build_claim(&valid.owner, storage)),
        Work::Verify { .. } => own_claim.filter(|_| plan.keeps_claim).map(|own| claim::keep_claim(&valid.owner, own)),
    };
    Resources {
        service_accounts: vec![service_account::build_service_account(&valid.owner)],
        claims: claim.into_iter().collect(),
        network_policies: vec![network_policy::build_network_policy(valid, plan, site)],
        cilium_policies: cilium::build_cilium_policy(valid).into_iter().collect(),
        jobs: plan.job.iter().map(|attempt| job::build_job(valid, attempt, site)).collect(),
        ..Resources::default()
    }
}

/// Metadata of a child of the fetch.
fn metadata(valid: &ValidatedModel, name: &str) -> ObjectMeta {
    valid.owner.metadata(name, labels::COMPONENT_FETCH)
}
