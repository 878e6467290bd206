//! Writes CiliumNetworkPolicies where the cluster has that kind, which is optional. Client required.
//!
//! The kind may come and go, so it is not watched: whether it is there is asked now and then, and each object is read by
//! name by the first pass that comes a while after the last read. A steady state makes no call here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
};
use serde_json::Value;

use super::{Error, Onto, Place, ownership};
use crate::{
    children::{Owner, OwnerKind},
    compare,
    context::{Context, FIELD_MANAGER},
    store::Key,
    telemetry::api_errors::Fault,
};

/// Group and version of the kind.
const API_VERSION: &str = "cilium.io/v2";
/// The kind.
pub(crate) const KIND: &str = "CiliumNetworkPolicy";
const PLURAL: &str = "ciliumnetworkpolicies";
/// How long it is believed that the kind is there, or is not.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(5);
/// How long an object that was read or written is taken to be as it was.
const READ_AGAIN_AFTER: Duration = Duration::from_mins(10);

/// What is remembered of the kind and its objects. A clone shares it.
#[derive(Clone, Debug, Default)]
pub struct Cilium {
    is_there: Arc<tokio::sync::Mutex<Option<(Instant, bool)>>>,
    known: Arc<Mutex<HashMap<Key, Known>>>,
}

#[derive(Clone, Debug)]
struct Known {
    /// Of the owner.
    uid: String,
    /// What it is to be; none: not there.
    wanted: Option<Value>,
    at: Instant,
}

impl Cilium {
    /// Whether the cluster has the kind. What cannot be found out is not there.
    async fn is_there(&self, client: &Client) -> bool {
        let mut known = self.is_there.lock().await;
        if let Some((at, is_there)) = *known
            && at.elapsed() < ASK_AGAIN_AFTER
        {
            return is_there;
        }
        let found = client.list_api_group_resources(API_VERSION).await;
        let is_there = found.is_ok_and(|list| list.resources.iter().any(|resource| resource.name == PLURAL));
        *known = Some((Instant::now(), is_there));
        is_there
    }

    async fn forget(&self) {
        *self.is_there.lock().await = None;
    }

    fn is_settled(&self, key: &Key, uid: &str, wanted: Option<&Value>) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).is_some_and(|known| {
            known.uid == uid && known.wanted.as_ref() == wanted && known.at.elapsed() < READ_AGAIN_AFTER
        })
    }

    fn settle(&self, key: &Key, uid: &str, wanted: Option<Value>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| known.at.elapsed() < READ_AGAIN_AFTER);
        known.insert(key.clone(), Known { uid: uid.to_owned(), wanted, at: Instant::now() });
    }
}

/// What the kind is to the API.
pub(crate) fn resource() -> ApiResource {
    let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        plural: PLURAL.to_owned(),
    }
}

/// Brings the one policy that a model may have to what it is to be, or away. Without the kind there is nothing to do.
pub(super) async fn all(ctx: &Context, owner: &Owner, wanted: Vec<DynamicObject>) -> Result<Vec<DynamicObject>, Error> {
    if owner.kind != OwnerKind::Model || !ctx.cilium.is_there(&ctx.client).await {
        return Ok(Vec::new());
    }
    let key = Key::new(owner.namespace.clone(), policy_name(&owner.name));
    let at = Place { kind: KIND.to_owned(), key };
    let wanted = wanted.into_iter().next();
    let body = wanted.as_ref().map(serde_json::to_value).transpose();
    let body = body.map_err(|source| at.unreadable(source.into()))?.map(|mut body| {
        compare::stamp(&mut body);
        body
    });
    if ctx.cilium.is_settled(&at.key, &owner.uid, body.as_ref()) {
        return Ok(wanted.into_iter().collect());
    }
    match bring(ctx, owner, &at, body.as_ref()).await {
        // The kind went between two looks.
        Err(refused) if refused.fault() == Some(Fault::NotFound) => {
            ctx.cilium.forget().await;
            return Ok(Vec::new());
        }
        // Optional: without the right to it the NetworkPolicy has to do.
        Err(refused) if refused.fault() == Some(Fault::Forbidden) => {
            tracing::warn!(error = %refused, "{KIND} is there and not ours to write; helm upgrade grants it");
        }
        done => done?,
    }
    ctx.cilium.settle(&at.key, &owner.uid, body);
    Ok(wanted.into_iter().collect())
}

/// Name of the policy of a model's fetch: that of its NetworkPolicy.
fn policy_name(model: &str) -> String {
    crate::controller::model::build::fetch_name(model)
}

async fn bring(ctx: &Context, owner: &Owner, at: &Place, wanted: Option<&Value>) -> Result<(), Error> {
    let api: Api<DynamicObject> = Api::namespaced_with(ctx.client.clone(), &at.key.namespace, &resource());
    let live = api.get_opt(&at.key.name).await.map_err(|source| at.failed("look up", source))?;
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match (live, wanted) {
        (None, None) => Ok(()),
        (None, Some(wanted)) => {
            let body = Patch::Apply(Onto::Nothing.aim(wanted.clone()));
            api.patch(&at.key.name, &params, &body).await.map_err(|source| at.failed("apply", source)).map(drop)
        }
        (Some(live), wanted) => {
            let found = serde_json::to_value(&live).map_err(|source| at.unreadable(source.into()))?;
            let whose = ownership::of_object(&found, live.metadata.deletion_timestamp.is_some(), owner);
            let uid = live.metadata.uid.clone().unwrap_or_default();
            match wanted {
                // Somebody else's policy of that name is none of our business.
                None if whose != ownership::Ownership::Ours => Ok(()),
                None => {
                    let preconditions = Some(Preconditions { uid: Some(uid), resource_version: None });
                    let params = DeleteParams { preconditions, ..DeleteParams::default() };
                    tracing::info!(kind = at.kind, name = at.key.name, "deleting a child that is no longer wanted");
                    match api.delete(&at.key.name, &params).await {
                        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                        done => done.map_err(|source| at.failed("delete", source)).map(drop),
                    }
                }
                Some(wanted) => {
                    whose.check(at)?;
                    if compare::difference(wanted, &found).is_none() {
                        return Ok(());
                    }
                    let body = Patch::Apply(Onto::Object(&uid).aim(wanted.clone()));
                    api.patch(&at.key.name, &params, &body).await.map_err(|source| at.failed("apply", source)).map(drop)
                }
            }
        }
    }
}
