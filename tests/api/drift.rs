//! Whatever somebody changes in what the operator owns comes back: every field, as the API server itself lists them.

use std::time::{Duration, Instant};

use alcazar_tests::{Cluster, TestNamespace, wait::wait_for};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde_json::{Value, json};

use super::reconcile::settled;

/// Longer than it takes on a busy machine; the bench measures the time.
const MENDED_WITHIN: Duration = Duration::from_secs(5);

/// JSON pointers to every scalar that the operator owns, from the `f:` tree of the object's managed fields.
fn owned(fields: &Value, live: &Value, path: &str, found: &mut Vec<String>) {
    let Some(tree) = fields.as_object() else { return };
    if tree.keys().all(|key| key == ".") {
        scalars(live, path, found);
        return;
    }
    for (key, inner) in tree {
        if let Some(name) = key.strip_prefix("f:") {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            owned(inner, &live[name], &format!("{path}/{escaped}"), found);
        } else if let Some(keys) = key.strip_prefix("k:") {
            let keys: Value = serde_json::from_str(keys).expect("the key of a list should be JSON");
            let is_it = |item: &Value| keys.as_object().is_some_and(|keys| keys.iter().all(|(k, v)| item[k] == *v));
            let items = live.as_array().map(Vec::as_slice).unwrap_or_default();
            let index = items.iter().position(is_it).unwrap_or_else(|| panic!("{path}{keys} should be there"));
            owned(inner, &items[index], &format!("{path}/{index}"), found);
        }
    }
}

/// An atomic value is owned as a whole: each part of it.
fn scalars(live: &Value, path: &str, found: &mut Vec<String>) {
    match live {
        Value::Object(fields) => {
            for (name, value) in fields {
                scalars(value, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| scalars(item, &format!("{path}/{index}"), found));
        }
        Value::Null => {}
        _ => found.push(path.to_owned()),
    }
}

/// Another value of the same kind.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(yes) => json!(!yes),
        Value::Number(number) => json!(number.as_i64().unwrap_or_default() + 1),
        Value::String(text) if text.parse::<i64>().is_ok() => json!("4242"),
        Value::String(text) => json!(format!("{text}x")),
        other => other.clone(),
    }
}

/// What must be as before: all but what changes with every write, and the status.
fn essence(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).expect("an object should be JSON");
    value["status"] = Value::Null;
    for field in ["managedFields", "resourceVersion", "generation"] {
        value["metadata"][field] = Value::Null;
    }
    // The deployment controller's own.
    if let Some(annotations) = value["metadata"]["annotations"].as_object_mut() {
        annotations.retain(|key, _| !key.starts_with("deployment.kubernetes.io/"));
    }
    value
}

/// A JSON patch (RFC 6902), as somebody with `kubectl edit` sends.
async fn patch(namespace: &TestNamespace, url: &str, edit: &Value) -> kube::Result<DynamicObject> {
    let request = http::Request::patch(url)
        .header("content-type", "application/json-patch+json")
        .body(edit.to_string().into_bytes())
        .expect("the request should be well formed");
    namespace.client.request(request).await
}

#[derive(Default)]
struct Tally {
    edited: usize,
    refused: usize,
    wrong: Vec<String>,
}

/// Edits one field after the other, and takes each away, and waits each time until the object is as it was.
async fn drift<K>(namespace: &TestNamespace, name: &str) -> Tally
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let mut tally = Tally::default();
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
    let before = api.get(name).await.expect("the child should be there");
    let live = serde_json::to_value(&before).expect("an object should be JSON");
    let mut paths = Vec::new();
    for entry in before.metadata.managed_fields.iter().flatten() {
        if entry.manager.as_deref() == Some("alcazar-operator") && entry.subresource.is_none() {
            let fields = entry.fields_v1.as_ref().map_or(&Value::Null, |fields| &fields.0);
            owned(fields, &live, "", &mut paths);
        }
    }
    assert!(paths.iter().any(|path| path.starts_with("/metadata/labels/")), "{name}: {paths:?}");
    // The garbage collector removes what belongs to an owner that does not exist.
    let kept = ["/controller", "/blockOwnerDeletion"];
    paths.retain(|path| !path.contains("/ownerReferences/") || kept.iter().any(|field| path.ends_with(field)));
    for path in paths {
        let value = live.pointer(&path).cloned().unwrap_or_default();
        for edit in
            [json!([{"op": "replace", "path": path, "value": other(&value)}]), json!([{"op": "remove", "path": path}])]
        {
            let edited = match patch(namespace, &format!("{}/{name}", api.resource_url()), &edit).await {
                Ok(edited) => edited,
                // Not a value that the API server allows there, or one that cannot change.
                Err(kube::Error::Api(_)) => {
                    tally.refused += 1;
                    continue;
                }
                Err(failure) => panic!("{failure}"),
            };
            if essence(&edited) == essence(&before) {
                continue;
            }
            tally.edited += 1;
            let begun = Instant::now();
            loop {
                let now = api.get(name).await.expect("the child should be there");
                if essence(&now) == essence(&before) {
                    break;
                }
                if begun.elapsed() > MENDED_WITHIN {
                    tally.wrong.push(format!("{} {name}: {edit} stays", K::kind(&())));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    tally
}

#[tokio::test]
async fn every_owned_field_comes_back() {
    let cluster = Cluster::connect().await;
    let (namespace, _operator) = settled(&cluster, "fields").await;
    let scale = json!({"spec": {"replicas": 2}});
    alcazar_tests::kinds::deployments(&namespace)
        .patch("assistant", &PatchParams::default(), &Patch::Merge(&scale))
        .await
        .expect("it should scale");
    wait_for("the budget", MENDED_WITHIN, async || {
        let budgets = namespace.api::<PodDisruptionBudget>();
        budgets.get("assistant").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    let at = &namespace;
    let (service, pods, serve, fetch, account, budget, claim, deployment) = tokio::join!(
        drift::<Service>(at, "assistant"),
        drift::<Service>(at, "assistant-pods"),
        drift::<NetworkPolicy>(at, "assistant-serve"),
        drift::<NetworkPolicy>(at, "assistant-fetch"),
        drift::<ServiceAccount>(at, "assistant"),
        drift::<PodDisruptionBudget>(at, "assistant"),
        drift::<PersistentVolumeClaim>(at, "assistant-weights"),
        drift::<Deployment>(at, "assistant"),
    );
    let all = [service, pods, serve, fetch, account, budget, claim, deployment];
    let wrong: Vec<&str> = all.iter().flat_map(|tally| &tally.wrong).map(String::as_str).collect();
    let edited: usize = all.iter().map(|tally| tally.edited).sum();
    let refused: usize = all.iter().map(|tally| tally.refused).sum();
    assert!(wrong.is_empty(), "{} of {edited}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(edited > 150, "only {edited} edits were accepted, {refused} refused");
    namespace.close().await;
}
