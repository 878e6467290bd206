//! The LlmModel of a deployment that carries its model inline. Pure.

use std::collections::BTreeMap;

use alcazar_contract::labels;
use alcazar_crds::llm_model::{LlmModel, LlmModelSpec};
use kube::api::ObjectMeta;

use super::ValidatedDeployment;

/// It is no pod, so it carries only the labels that say whose it is.
pub(super) fn build_model(valid: &ValidatedDeployment, spec: &LlmModelSpec) -> LlmModel {
    let mut own = valid.owner.propagated.clone();
    own.extend(BTreeMap::from([
        (labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned()),
        (labels::DEPLOYMENT.to_owned(), valid.owner.name.clone()),
    ]));
    LlmModel {
        metadata: ObjectMeta { labels: Some(own), ..valid.owner.metadata(&valid.owner.name, labels::COMPONENT_SERVE) },
        spec: spec.clone(),
        status: None,
    }
}
