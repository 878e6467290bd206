//! The objects a controller makes, before and after they are in the cluster. Pure.

use std::{collections::BTreeMap, marker::PhantomData};

use alcazar_contract::labels;
use alcazar_crds::llm_model::LlmModel;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{Resource, api::ObjectMeta};

/// Annotation of an object whose spec is written once (a Job): another value asks for it to be deleted and made anew.
pub const ATTEMPT: &str = "alcazar.dev/attempt";

/// Built, not yet in the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Prepared;
/// In the cluster, as the API server holds it.
#[derive(Clone, Copy, Debug)]
pub struct Applied;

/// All children of one object. `apply` takes it apart field by field, so that a new kind does not compile until it is
/// applied. Status is computed from `Resources<Applied>` only.
#[derive(Clone, Debug)]
pub struct Resources<State> {
    /// The model of a deployment that carries it inline.
    pub models: Vec<LlmModel>,
    /// Accounts without a token.
    pub service_accounts: Vec<ServiceAccount>,
    /// Secrets to write now. One that is to stay as it is, is left out: Secrets are never listed, so never orphans.
    pub secrets: Vec<Secret>,
    /// Volumes.
    pub claims: Vec<PersistentVolumeClaim>,
    /// Firewalls; in place before any pod.
    pub network_policies: Vec<NetworkPolicy>,
    /// Services.
    pub services: Vec<Service>,
    /// Disruption budgets.
    pub disruption_budgets: Vec<PodDisruptionBudget>,
    /// Jobs: their spec is written once, later only their metadata.
    pub jobs: Vec<Job>,
    /// Deployments; last.
    pub deployments: Vec<Deployment>,
    /// [`Prepared`] or [`Applied`].
    pub state: PhantomData<State>,
}

impl<State> Default for Resources<State> {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            service_accounts: Vec::new(),
            secrets: Vec::new(),
            claims: Vec::new(),
            network_policies: Vec::new(),
            services: Vec::new(),
            disruption_budgets: Vec::new(),
            jobs: Vec::new(),
            deployments: Vec::new(),
            state: PhantomData,
        }
    }
}

/// Which of our kinds owns a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OwnerKind {
    /// `LlmDeployment`, by label `alcazar.dev/deployment`.
    Deployment,
    /// `LlmModel`, by label `alcazar.dev/model`.
    Model,
    /// `LlmApiKey`, by label `alcazar.dev/api-key`.
    ApiKey,
}

impl OwnerKind {
    /// The label on children that names their owner.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Deployment => labels::DEPLOYMENT,
            Self::Model => labels::MODEL,
            Self::ApiKey => labels::API_KEY,
        }
    }
}

/// The object whose children are built.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// Which kind.
    pub kind: OwnerKind,
    /// Namespace of the owner and of all its children.
    pub namespace: String,
    /// Name of the owner.
    pub name: String,
    /// Identity of the owner: an owner of the same name made later is another one.
    pub uid: String,
    /// Goes into the children.
    pub reference: OwnerReference,
    /// Labels of the owner that the settings allow to be passed on.
    pub propagated: BTreeMap<String, String>,
}

impl Owner {
    /// `None` while the object lacks what only the API server gives: namespace, name and uid.
    pub fn of<K: Resource<DynamicType = ()>>(kind: OwnerKind, object: &K, propagate: &[String]) -> Option<Self> {
        let meta = object.meta();
        Some(Self {
            kind,
            namespace: meta.namespace.clone()?,
            name: meta.name.clone()?,
            uid: meta.uid.clone()?,
            reference: object.controller_owner_ref(&())?,
            propagated: meta
                .labels
                .iter()
                .flatten()
                .filter(|(key, _)| propagate.contains(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
    }

    /// Labels of every child: the allow-listed ones of the owner, then ours, which win.
    #[must_use]
    pub fn labels(&self, component: &str) -> BTreeMap<String, String> {
        let mut all = self.propagated.clone();
        all.extend(self.selector(component));
        all.insert(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned());
        all
    }

    /// The labels that select this owner's pods of one component; a subset of [`Self::labels`] that never changes.
    #[must_use]
    pub fn selector(&self, component: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            (labels::APP_NAME.to_owned(), labels::APP_NAME_RUNTIME.to_owned()),
            (labels::COMPONENT.to_owned(), component.to_owned()),
            (self.kind.label().to_owned(), self.name.clone()),
        ])
    }

    /// Metadata of a child that goes when its owner goes.
    #[must_use]
    pub fn metadata(&self, name: &str, component: &str) -> ObjectMeta {
        ObjectMeta { owner_references: Some(vec![self.reference.clone()]), ..self.metadata_unowned(name, component) }
    }

    /// Metadata of a child that stays when its owner goes (a volume that is to be retained).
    #[must_use]
    pub fn metadata_unowned(&self, name: &str, component: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels(component)),
            ..ObjectMeta::default()
        }
    }
}
