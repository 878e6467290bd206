//! The installable CRDs: what the derive makes of the types, finished for the API server.
//!
//! The derive leaves three things open: optional fields come out as nullable, which would store a
//! `null` where a missing field is meant; whole numbers come out as fractions; and `status` has no
//! default, so that a new object would look up to date to a tool that compares generations.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{llm_api_key::LlmApiKey, llm_deployment::LlmDeployment, llm_model::LlmModel, llm_vpn_peer::LlmVpnPeer};

/// A CRD and the name of its file in crds/yaml.
pub struct Manifest {
    /// Plural name of the kind, which is the file's stem.
    pub plural: String,
    /// The CRD as JSON, in the order in which it is written.
    pub crd: Value,
}

impl Manifest {
    /// The CRD as a typed object, for a client.
    ///
    /// # Panics
    /// Never: finishing takes keywords away and adds one default.
    #[must_use]
    pub fn typed(&self) -> CustomResourceDefinition {
        serde_json::from_value(self.crd.clone()).expect("a finished CRD should still be one")
    }

    /// The schema of the one version.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    }
}

/// Every CRD of this crate.
#[must_use]
pub fn manifests() -> Vec<Manifest> {
    [LlmDeployment::crd(), LlmModel::crd(), LlmApiKey::crd(), LlmVpnPeer::crd()].iter().map(finish).collect()
}

fn finish(crd: &CustomResourceDefinition) -> Manifest {
    let mut crd = serde_json::to_value(crd).expect("a CRD should serialize");
    let plural = crd["spec"]["names"]["plural"].as_str().expect("a CRD should have a plural").to_owned();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    finish_schema(schema);
    schema["properties"]["status"]["default"] = json!({"observedGeneration": -1});
    Manifest { plural, crd }
}

fn finish_schema(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else { return };
    keywords.remove("nullable");
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        // Doc comments are wrapped for editors; `kubectl explain` wraps by itself.
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if keywords.get("default").is_some_and(Value::is_null) {
        keywords.remove("default");
    }
    for bound in ["minimum", "maximum"] {
        if let Some(value) = keywords.get_mut(bound) {
            *value = whole(value);
        }
    }
    for nested in ["items", "additionalProperties"] {
        if let Some(inner) = keywords.get_mut(nested) {
            finish_schema(inner);
        }
    }
    if let Some(properties) = keywords.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(finish_schema);
    }
}

/// The derive's type for bounds is a float; all our bounds are whole and exact as such.
#[expect(clippy::cast_possible_truncation, reason = "the bounds are our own and far below 2^53")]
fn whole(bound: &Value) -> Value {
    bound.as_f64().map_or_else(|| bound.clone(), |float| json!(float as i64))
}
