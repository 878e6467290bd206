//! Writes a status: only when it differs, and at most once a second while things are on their way. Client required.

use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    conditions,
    context::{Context, FIELD_MANAGER},
    store::{Key, Kind, WatchedObject, Wrote},
    telemetry::api_errors,
};

/// Steps on the way are written at most this often for one object; the end of the way is written at once.
const PACE: Duration = Duration::from_millis(1500);

/// A status could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the status of {kind} {key}: {source}")]
pub struct Error {
    kind: String,
    key: Key,
    source: Box<kube::Error>,
}

impl Error {
    /// For metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        api_errors::reason(&self.source)
    }

    /// Whether the object is gone or is another one by now: nothing is left to write.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(&*self.source, kube::Error::Api(status) if status.code == 404)
    }
}

/// A status with conditions.
pub trait Status: Serialize + PartialEq + Send + Sync {
    /// All conditions.
    fn conditions(&self) -> &[Condition];
}

impl Status for alcazar_crds::llm_model::LlmModelStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Status for alcazar_crds::llm_deployment::LlmDeploymentStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Status for alcazar_crds::llm_api_key::LlmApiKeyStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Status for alcazar_crds::llm_vpn_peer::LlmVpnPeerStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

/// What became of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The object has it already.
    Unchanged,
    /// It has it now.
    Patched,
    /// A step on the way, too soon after the last one: come back after that time.
    Held(Duration),
}

/// Brings `new` to the API server if the object does not have it, and tells people about a transition.
pub async fn write<K: Kind, S: Status>(ctx: &Context, object: &K, old: Option<&S>, new: &S) -> Result<Written, Error> {
    let before = old.map_or(&[][..], Status::conditions);
    ctx.metrics.observe_conditions(K::kind(&()).as_ref(), &key_of(object), new.conditions());
    if old == Some(new) {
        return Ok(Written::Unchanged);
    }
    if let Some(wait) = hold(ctx, object, before, new.conditions()) {
        return Ok(Written::Held(wait));
    }
    match patch(ctx, object, new).await {
        Err(gone) if gone.is_gone() => return Ok(Written::Unchanged),
        done => done?,
    }
    if let Some(transition) = conditions::transition(before, new.conditions()) {
        ctx.recorder.publish(&object.object_ref(&()), &transition).await;
    }
    Ok(Written::Patched)
}

/// How long to hold back a step on the way; `None`: it may be written now.
fn hold<K: Kind>(ctx: &Context, object: &K, before: &[Condition], after: &[Condition]) -> Option<Duration> {
    let settled = |conditions: &[Condition]| {
        conditions::is_true(conditions, "Ready") || conditions::find(conditions, "Stalled").is_some()
    };
    if settled(before) || settled(after) {
        return None;
    }
    let last = K::store(&ctx.stores).get(&key_of(object))?.written()?;
    PACE.checked_sub(Instant::now().saturating_duration_since(last)).filter(|wait| !wait.is_zero())
}

/// Server-side apply of the status subresource; the answer goes into the store.
pub async fn patch<K: Kind>(ctx: &Context, object: &K, status: &impl Serialize) -> Result<(), Error> {
    let key = key_of(object);
    let fail = |source| Error { kind: K::kind(&()).into_owned(), key: key_of(object), source: Box::new(source) };
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // With the uid: never the status of an object that was deleted and made anew.
        "metadata": { "name": key.name, "namespace": key.namespace, "uid": object.meta().uid },
        "status": status,
    });
    let api: Api<WatchedObject<K>> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let answer = api.patch_status(&key.name, &params, &Patch::<Value>::Apply(body)).await.map_err(fail)?;
    K::store(&ctx.stores).wrote(answer, Wrote::Status);
    Ok(())
}

/// Namespace and name of an object that came from the API server.
pub fn key_of<K: Kind>(object: &K) -> Key {
    let meta = object.meta();
    Key::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}
