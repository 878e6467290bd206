//! YAML as a user applies it.

use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    discovery::pinned_kind,
};
use serde::Deserialize;

/// The objects of a YAML text, in order.
///
/// # Panics
/// When the text is no YAML.
#[must_use]
pub fn parse(text: &str) -> Vec<DynamicObject> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| serde_json::Value::deserialize(document).expect("the YAML should parse"))
        .filter(|value| !value.is_null())
        .map(|value| serde_json::from_value(value).expect("the YAML should be an object of Kubernetes"))
        .collect()
}

/// Server-side apply of one object in `namespace`, as `kubectl apply --server-side` does.
///
/// # Errors
/// What the API server says.
///
/// # Panics
/// When the object names no kind.
pub async fn apply(client: &Client, namespace: &str, object: &DynamicObject) -> kube::Result<DynamicObject> {
    let types = object.types.clone().expect("the object should have apiVersion and kind");
    let gvk = kube::core::GroupVersionKind::try_from(&types).expect("apiVersion should be group/version");
    let (resource, _) = pinned_kind(client, &gvk).await?;
    let mut object = object.clone();
    object.metadata.namespace = Some(namespace.to_owned());
    let name = object.metadata.name.clone().expect("the object should have a name");
    Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource)
        .patch(&name, &PatchParams::apply("a-user").force().validation_strict(), &Patch::Apply(&object))
        .await
}

/// [`apply`] of every object of a YAML text.
///
/// # Panics
/// When the API server refuses one.
pub async fn apply_yaml(client: &Client, namespace: &str, text: &str) {
    for object in parse(text) {
        if let Err(error) = apply(client, namespace, &object).await {
            panic!("the API server should accept this, and says: {error}\n{text}");
        }
    }
}
