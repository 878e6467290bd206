//! One write of a child, aimed at the very object that it is meant for. Client required.

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::Value;
use tracing::warn;

use super::{Error, Place};
use crate::{
    compare,
    context::{Context, FIELD_MANAGER},
    store::{Kind, WatchedObject, Wrote},
};

/// What a write is meant for; it is refused where that is not so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Onto<'a> {
    /// There is no object of that name.
    Nothing,
    /// The object of that uid: not one that was made anew under the same name.
    Object(&'a str),
}

impl Onto<'_> {
    /// etcd counts from 1, and its first write is 2.
    const NO_VERSION: &'static str = "1";

    pub(super) fn aim(self, mut body: Value) -> Value {
        match self {
            Self::Nothing => body["metadata"]["resourceVersion"] = Self::NO_VERSION.into(),
            Self::Object(uid) => body["metadata"]["uid"] = uid.into(),
        }
        body
    }
}

/// A server-side apply of the whole object.
pub(super) async fn force<K: Kind>(ctx: &Context, at: &Place, desired: &Value, onto: Onto<'_>) -> Result<K, Error> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    patch(ctx, at, &Patch::Apply(onto.aim(desired.clone())), params, desired).await.map(|(object, _)| object)
}

/// A JSON merge patch, which replaces lists whole: for what an apply cannot do. The answer as its type and as JSON.
pub(super) async fn merge<K: Kind>(
    ctx: &Context,
    at: &Place,
    body: Value,
    onto: Onto<'_>,
) -> Result<(K, Value), Error> {
    patch(ctx, at, &Patch::Merge(onto.aim(body)), PatchParams::default(), &Value::Null).await
}

/// One write; the answer goes into the store. What still differs from `desired` afterwards is not tried again.
async fn patch<K: Kind>(
    ctx: &Context,
    at: &Place,
    body: &Patch<Value>,
    params: PatchParams,
    desired: &Value,
) -> Result<(K, Value), Error> {
    let api: Api<WatchedObject<K>> = Api::namespaced(ctx.client.clone(), &at.key.namespace);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..params };
    let answer = api.patch(&at.key.name, &params, body).await.map_err(|source| at.failed("apply", source))?;
    let object = answer.parse().map_err(|source| at.unreadable(source))?;
    let value = answer.value().map_err(|source| at.unreadable(source))?;
    if let Some(path) = compare::difference(desired, &value) {
        warn!(kind = at.kind, object = %at.key, path, "a write of ours did not last; something at the API server changes it");
        K::store(&ctx.stores).settle(&at.key, compare::fingerprint(desired, &value));
    }
    K::store(&ctx.stores).wrote(answer, Wrote::Child);
    Ok((object, value))
}
