//! YAML as a user applies it.

use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
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
    let mut object = object.clone();
    object.metadata.namespace = Some(namespace.to_owned());
    let name = object.metadata.name.clone().expect("the object should have a name");
    of_kind(client, namespace, &object)
        .await?
        .patch(&name, &PatchParams::apply("a-user").force().validation_strict(), &Patch::Apply(&object))
        .await
}

async fn of_kind(client: &Client, namespace: &str, object: &DynamicObject) -> kube::Result<Api<DynamicObject>> {
    let types = object.types.clone().expect("the object should have apiVersion and kind");
    let gvk = kube::core::GroupVersionKind::try_from(&types).expect("apiVersion should be group/version");
    let (resource, _) = pinned_kind(client, &gvk).await?;
    Ok(Api::namespaced_with(client.clone(), namespace, &resource))
}

/// Deletes one object, which nothing holds.
///
/// # Panics
/// When the API server refuses.
pub async fn delete(client: &Client, namespace: &str, object: &DynamicObject) {
    let name = object.metadata.name.clone().expect("the object should have a name");
    let api = of_kind(client, namespace, object).await.expect("the kind should be served");
    api.delete(&name, &DeleteParams::default()).await.expect("the object should be deletable");
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
