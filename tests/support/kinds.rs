//! Our kinds as a user of the API sees them: JSON, not the operator's own types.

use kube::{
    Api,
    api::{ApiResource, DynamicObject},
};
use serde_json::Value;

use crate::{TestNamespace, wait::wait_for};

/// `LlmDeployment`s of the namespace.
#[must_use]
pub fn deployments(namespace: &TestNamespace) -> Api<DynamicObject> {
    api(namespace, "LlmDeployment", "llmdeployments")
}

/// `LlmModel`s of the namespace.
#[must_use]
pub fn models(namespace: &TestNamespace) -> Api<DynamicObject> {
    api(namespace, "LlmModel", "llmmodels")
}

/// `LlmApiKey`s of the namespace.
#[must_use]
pub fn keys(namespace: &TestNamespace) -> Api<DynamicObject> {
    api(namespace, "LlmApiKey", "llmapikeys")
}

/// `LlmVpnPeer`s of the namespace.
#[must_use]
pub fn vpn_peers(namespace: &TestNamespace) -> Api<DynamicObject> {
    api(namespace, "LlmVpnPeer", "llmvpnpeers")
}

fn api(namespace: &TestNamespace, kind: &str, plural: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "alcazar.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "alcazar.dev/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource)
}

/// One condition of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// The condition `kind` of `object`, if it is there.
#[must_use]
pub fn condition(object: &DynamicObject, kind: &str) -> Option<Condition> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    object.data["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).map(
        |condition| Condition {
            status: text(&condition["status"]),
            reason: text(&condition["reason"]),
            message: text(&condition["message"]),
        },
    )
}

/// Waits until condition `kind` has `status`, and gives the object.
///
/// # Panics
/// After `limit`, with all conditions of the object.
pub async fn wait_condition(
    api: &Api<DynamicObject>,
    name: &str,
    kind: &str,
    status: &str,
    limit: std::time::Duration,
) -> DynamicObject {
    wait_for(&format!("{kind}={status} of {name}"), limit, async || {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        match condition(&object, kind) {
            Some(seen) if seen.status == status => Ok(object),
            _ => Err(object.data["status"].to_string()),
        }
    })
    .await
}

/// Waits until condition `kind` is `status` with `reason`, and gives its message.
///
/// # Panics
/// After `limit`, with all conditions of the object.
pub async fn wait_reason(
    api: &Api<DynamicObject>,
    name: &str,
    kind: &str,
    (status, reason): (&str, &str),
    limit: std::time::Duration,
) -> String {
    wait_for(&format!("{kind}={status} ({reason}) of {name}"), limit, async || {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        match condition(&object, kind) {
            Some(seen) if seen.status == status && seen.reason == reason => Ok(seen.message),
            _ => Err(object.data["status"].to_string()),
        }
    })
    .await
}
