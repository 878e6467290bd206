//! What a deployment is made of, as Kubernetes objects. Pure and infallible: `validate` has checked all that is used here.

mod container;
mod deployment;
mod model;
mod network_policy;
mod pdb;
mod service;
mod service_account;
#[cfg(test)]
mod tests;
mod tls_secret;
mod volumes;

use alcazar_contract::labels;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    plan::{Plan, Serving},
    validate::ValidatedDeployment,
};
use crate::{
    authority::Leaf,
    children::{Prepared, Resources},
};

/// Annotation on the Deployment and its pods: manifest digest of the model they serve.
pub(crate) const MODEL_DIGEST: &str = "alcazar.dev/model-digest";
/// Annotation on the Deployment: claim that holds the model.
pub(crate) const MODEL_CLAIM: &str = "alcazar.dev/model-claim";
/// Annotation on the Deployment: directory of the model on the claim.
pub(crate) const MODEL_PATH: &str = "alcazar.dev/model-path";
/// Annotation on the Deployment: size of the model in bytes.
pub(crate) const MODEL_SIZE: &str = "alcazar.dev/model-size-bytes";
/// Annotation on the Deployment: Secret with the key of the encrypted model.
pub(crate) const MODEL_KEY: &str = "alcazar.dev/model-key-secret";

/// The TLS files of the pods: what they mount, and the Secret's new content when it is to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    /// Fingerprint of the certificate that the pods are to mount.
    pub(crate) fingerprint: String,
    /// A new leaf with the bundle beside it; none: the Secret stays as it is.
    pub(crate) issued: Option<Issued>,
}

/// A leaf on its way into its Secret.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    /// Certificate and key.
    pub(crate) leaf: Leaf,
    /// Certificates of the authorities that are trusted now.
    pub(crate) ca_pem: String,
}

/// All children of a deployment. The Deployment itself only once there is a verified model to serve.
pub(crate) fn build(valid: &ValidatedDeployment, plan: &Plan, tls: &Tls) -> Resources<Prepared> {
    Resources {
        models: plan.model.iter().map(|spec| model::build_model(valid, spec)).collect(),
        service_accounts: vec![service_account::build_service_account(valid)],
        secrets: tls.issued.iter().map(|issued| tls_secret::build_tls_secret(valid, issued)).collect(),
        network_policies: vec![network_policy::build_network_policy(valid)],
        services: vec![service::build_service(valid), service::build_headless_service(valid)],
        disruption_budgets: pdb::build_pdb(valid).into_iter().collect(),
        deployments: plan.serving.iter().map(|serving| deployment::build_deployment(valid, serving, tls)).collect(),
        ..Resources::default()
    }
}

/// Name of the Secret with the files of the model port.
pub(crate) fn tls_secret_name(deployment: &str) -> String {
    format!("{deployment}-tls")
}

/// Name of the Service that has an address for each pod.
pub(crate) fn headless_name(deployment: &str) -> String {
    format!("{deployment}-pods")
}

/// Name of the firewall.
pub(crate) fn policy_name(deployment: &str) -> String {
    format!("{deployment}-serve")
}

/// Base URL of the OpenAI-compatible API, for clients in the cluster.
pub(crate) fn endpoint(valid: &ValidatedDeployment) -> String {
    format!("https://{}/v1", valid.door.host)
}

fn metadata(valid: &ValidatedDeployment, name: &str) -> ObjectMeta {
    valid.owner.metadata(name, labels::COMPONENT_SERVE)
}
