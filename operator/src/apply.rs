//! Brings built objects to the cluster, and only when they differ from what is there. Client required.
//!
//! Server-side apply with one field manager. In the steady state this makes no call at all, and one for a new object. An
//! object of the same name that is not ours is never touched. What is no longer wanted is deleted last, and only after everything wanted is in place.

use std::{collections::BTreeSet, marker::PhantomData, sync::Arc};

use futures::future::join_all;
use kube::api::ObjectMeta;
use serde_json::Value;

use crate::{
    children::{ATTEMPT, Applied, Owner, Prepared, Resources},
    compare,
    context::Context,
    lookup,
    store::{Cached, Key, Kind},
    telemetry::api_errors::Fault,
};

pub(crate) mod cilium;
mod error;
mod orphans;
mod ownership;
mod secrets;
mod write;

pub use cilium::Cilium;
pub use error::Error;
use ownership::Ownership;
pub(crate) use secrets::trust;
use write::{Onto, force, merge};

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
        cilium_policies,
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
        secrets::all(ctx, owner, secrets),
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
        cilium_policies: cilium::all(ctx, owner, cilium_policies).await?,
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
    let live = match K::store(&ctx.stores).get(&at.key) {
        Some(live) => live,
        None => match make::<K>(ctx, &at, &desired).await? {
            Made::New(object) => return Ok(object),
            Made::Exists(live) => live,
        },
    };
    let found = live.value().map_err(|source| at.unreadable(source))?;
    ownership::of_object(&found, live.is_terminating(), owner).check(&at)?;
    if live.is_terminating() || !differs(&desired, &found, spec) || is_settled::<K>(ctx, &at, &desired, &found) {
        return live.parse().map_err(|source| at.unreadable(source));
    }
    match spec {
        Spec::Once => renew(ctx, &desired, &found, &live, &at).await,
        Spec::Follows => mend(ctx, &desired, &found, &live, &at).await,
    }
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

enum Made<K> {
    /// It is there now.
    New(K),
    /// Something of that name was there before.
    Exists(Arc<Cached<K>>),
}

/// One call for an object that most likely does not exist. Absence from the store is no licence to write: the object may
/// have lost our label, or be somebody else's. So the apply carries a version that no object has: it makes a new object or
/// is refused, and whose the object is, is judged by who called.
async fn make<K: Kind>(ctx: &Context, at: &Place, desired: &Value) -> Result<Made<K>, Error> {
    match force(ctx, at, desired, Onto::Nothing).await {
        Ok(object) => Ok(Made::New(object)),
        Err(refused) if refused.fault() == Some(Fault::Conflict) => {
            match lookup::get::<K>(ctx, &at.key).await.map_err(|source| at.failed("look up", source))? {
                Some(live) => Ok(Made::Exists(live)),
                // Deleted between the two calls: the next pass makes it.
                None => Err(refused),
            }
        }
        Err(failure) => Err(failure),
    }
}

/// Brings an object of ours back to what it is to be.
async fn mend<K: Kind>(
    ctx: &Context,
    desired: &Value,
    found: &Value,
    live: &Cached<K>,
    at: &Place,
) -> Result<K, Error> {
    let onto = Onto::Object(live.uid());
    if let Some(surplus) = compare::surplus(desired, found) {
        // What others put in and an apply would leave there.
        let (patched, answer) = merge::<K>(ctx, at, surplus, onto).await?;
        if compare::difference(desired, &answer).is_none() {
            return Ok(patched);
        }
    }
    match force(ctx, at, desired, onto).await {
        // Merged with what others put in, it makes no valid object: ours as a whole first.
        Err(refused) if refused.fault() == Some(Fault::Invalid) => {
            let whole = serde_json::json!({ "spec": desired["spec"] });
            let (patched, answer) = merge::<K>(ctx, at, whole, onto).await?;
            if compare::difference(desired, &answer).is_none() {
                return Ok(patched);
            }
            force(ctx, at, desired, onto).await
        }
        done => done,
    }
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
        let merged = merge(ctx, at, mended, Onto::Object(live.uid())).await;
        return merged.map(|(object, _)| object);
    }
    if !orphans::delete::<K>(ctx, at, live).await? {
        return Ownership::Leaving.check(at).and_then(|()| live.parse().map_err(|source| at.unreadable(source)));
    }
    force(ctx, at, desired, Onto::Nothing).await
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
