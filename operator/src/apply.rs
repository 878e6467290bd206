//! Brings built objects to the cluster, and only when they differ from what is there. Client required.
//!
//! Server-side apply with one field manager. In the steady state this makes no call at all. An object of the same name that
//! is not ours is never touched. What is no longer wanted is deleted last, and only after everything wanted is in place.

use std::{collections::BTreeSet, marker::PhantomData};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams},
};
use serde_json::Value;
use tracing::warn;

use crate::{
    children::{ATTEMPT, Applied, Owner, Prepared, Resources},
    compare,
    context::{Context, FIELD_MANAGER},
    lookup,
    store::{Cached, Key, Kind, WatchedObject, Wrote},
};

mod error;
mod orphans;
mod ownership;

pub use error::Error;
use ownership::Ownership;

/// How the spec of a kind changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// Apply the whole object whenever it differs.
    Follows,
    /// Written once; later only the metadata, or the whole object anew when its attempt differs.
    Once,
}

/// Applies all children of `owner`; the answer holds them as the API server does.
pub async fn apply(ctx: &Context, owner: &Owner, resources: Resources<Prepared>) -> Result<Resources<Applied>, Error> {
    let wanted = Wanted::of(&resources);
    let Resources {
        models,
        service_accounts,
        secrets,
        claims,
        network_policies,
        services,
        disruption_budgets,
        jobs,
        deployments,
        state: _,
    } = resources;
    // First what pods need or are guarded by; nothing of it depends on another part.
    let (models, service_accounts, secrets, claims, network_policies, services, disruption_budgets) = tokio::join!(
        all(ctx, owner, models, Spec::Follows),
        all(ctx, owner, service_accounts, Spec::Follows),
        all_secrets(ctx, owner, secrets),
        all(ctx, owner, claims, Spec::Follows),
        all(ctx, owner, network_policies, Spec::Follows),
        all(ctx, owner, services, Spec::Follows),
        all(ctx, owner, disruption_budgets, Spec::Follows),
    );
    // No pod before all of the above is in place, the firewall above all.
    let applied = Resources {
        models: models?,
        service_accounts: service_accounts?,
        secrets: secrets?,
        claims: claims?,
        network_policies: network_policies?,
        services: services?,
        disruption_budgets: disruption_budgets?,
        jobs: all(ctx, owner, jobs, Spec::Once).await?,
        deployments: all(ctx, owner, deployments, Spec::Follows).await?,
        state: PhantomData,
    };
    orphans::remove(ctx, owner, &wanted).await?;
    Ok(applied)
}

/// Names of everything wanted, by plural of the kind.
pub(crate) struct Wanted(BTreeSet<(String, String)>);

impl Wanted {
    fn of(resources: &Resources<Prepared>) -> Self {
        let mut names = Self(BTreeSet::new());
        names.add(&resources.models);
        names.add(&resources.service_accounts);
        names.add(&resources.claims);
        names.add(&resources.network_policies);
        names.add(&resources.services);
        names.add(&resources.disruption_budgets);
        names.add(&resources.jobs);
        names.add(&resources.deployments);
        names
    }

    fn add<K: Kind>(&mut self, objects: &[K]) {
        let names = objects.iter().filter_map(|object| object.meta().name.clone());
        self.0.extend(names.map(|name| (K::plural(&()).into_owned(), name)));
    }

    fn has<K: Kind>(&self, name: &str) -> bool {
        self.0.contains(&(K::plural(&()).into_owned(), name.to_owned()))
    }
}

/// All of them, at once; every one is tried even if another fails.
async fn all<K: Kind>(ctx: &Context, owner: &Owner, desired: Vec<K>, spec: Spec) -> Result<Vec<K>, Error> {
    join_all(desired.iter().map(|object| bring(ctx, owner, object, spec))).await.into_iter().collect()
}

async fn bring<K: Kind>(ctx: &Context, owner: &Owner, desired: &K, spec: Spec) -> Result<K, Error> {
    let at = Place::of::<K>(desired.meta());
    let desired = render(desired, &at)?;
    // Absence from the store is no licence to write: it may have lost our label, or be somebody else's.
    let live = lookup::find_new::<K>(ctx, &at.key).await.map_err(|source| at.failed("look up", source))?;
    if let Some(live) = live {
        let found = live.value().map_err(|source| at.unreadable(source))?;
        ownership::of_object(&found, live.is_terminating(), owner).check(&at)?;
        if live.is_terminating() || !differs(&desired, &found, spec) || is_settled::<K>(ctx, &at, &desired, &found) {
            return live.parse().map_err(|source| at.unreadable(source));
        }
        if spec == Spec::Once {
            return renew(ctx, &desired, &found, &live, &at).await;
        }
        if let Some(patched) = clean(ctx, &at, &desired, &found).await? {
            return Ok(patched);
        }
    }
    force(ctx, &at, &desired).await
}

fn render<K: Kind>(desired: &K, at: &Place) -> Result<Value, Error> {
    let mut value = serde_json::to_value(desired).map_err(|source| at.unreadable(source.into()))?;
    // A custom resource's type carries a status that is not ours to apply here.
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    compare::stamp(&mut value);
    Ok(value)
}

fn differs(desired: &Value, found: &Value, spec: Spec) -> bool {
    match spec {
        Spec::Follows => compare::difference(desired, found).is_some() || compare::surplus(desired, found).is_some(),
        Spec::Once => compare::metadata_difference(&without_hash(desired), found).is_some(),
    }
}

fn is_settled<K: Kind>(ctx: &Context, at: &Place, desired: &Value, found: &Value) -> bool {
    K::store(&ctx.stores).is_settled(&at.key, &compare::fingerprint(desired, found))
}

/// Takes out what others put in and an apply would leave there. The answer, if nothing is left to apply.
async fn clean<K: Kind>(ctx: &Context, at: &Place, desired: &Value, found: &Value) -> Result<Option<K>, Error> {
    let Some(surplus) = compare::surplus(desired, found) else { return Ok(None) };
    let (patched, answer) = patch::<K>(ctx, at, &Patch::Merge(surplus), PatchParams::default(), desired).await?;
    Ok(compare::difference(desired, &answer).is_none().then_some(patched))
}

/// The hash is over the spec too, which a newer operator may write otherwise: no reason to touch what was written once.
fn without_hash(desired: &Value) -> Value {
    let mut desired = desired.clone();
    if let Some(annotations) = desired.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(alcazar_contract::labels::APPLIED_HASH);
    }
    desired
}

/// An object whose spec is written once: replaced for another attempt, else its metadata mended.
async fn renew<K: Kind>(
    ctx: &Context,
    desired: &Value,
    found: &Value,
    live: &Cached<K>,
    at: &Place,
) -> Result<K, Error> {
    let attempt = |value: &Value| value["metadata"]["annotations"].get(ATTEMPT).cloned();
    if attempt(desired) == attempt(found) {
        let mended = serde_json::json!({ "metadata": without_hash(desired)["metadata"] });
        return patch(ctx, at, &Patch::Merge(mended), PatchParams::default(), &Value::Null)
            .await
            .map(|(object, _)| object);
    }
    if !orphans::delete::<K>(ctx, at, live).await? {
        return Ownership::Leaving.check(at).and_then(|()| live.parse().map_err(|source| at.unreadable(source)));
    }
    force(ctx, at, desired).await
}

async fn force<K: Kind>(ctx: &Context, at: &Place, desired: &Value) -> Result<K, Error> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    patch(ctx, at, &Patch::Apply(desired.clone()), params, desired).await.map(|(object, _)| object)
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

async fn all_secrets(ctx: &Context, owner: &Owner, desired: Vec<Secret>) -> Result<Vec<Secret>, Error> {
    join_all(desired.iter().map(|secret| bring_secret(ctx, owner, secret))).await.into_iter().collect()
}

/// Secrets are not watched: whoever puts one among the children wants it written.
async fn bring_secret(ctx: &Context, owner: &Owner, desired: &Secret) -> Result<Secret, Error> {
    let at = Place::of::<Secret>(&desired.metadata);
    let found = ctx.secrets.get(&at.key).await.map_err(|failure| at.failed("look up", *failure.source))?;
    if let Some(found) = found {
        ownership::of_secret(&found, owner).check(&at)?;
    }
    let mut body = serde_json::to_value(desired).map_err(|source| at.unreadable(source.into()))?;
    compare::stamp(&mut body);
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &at.key.namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let applied =
        api.patch(&at.key.name, &params, &Patch::Apply(body)).await.map_err(|source| at.failed("apply", source))?;
    ctx.secrets.remember(&at.key, Some(std::sync::Arc::new(applied.metadata.clone().into())));
    Ok(applied)
}

/// Kind and name, for errors and calls.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    kind: String,
    key: Key,
}

impl Place {
    fn of<K: kube::Resource<DynamicType = ()>>(meta: &ObjectMeta) -> Self {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        Self { kind: K::kind(&()).into_owned(), key: Key::new(part(&meta.namespace), part(&meta.name)) }
    }
}
