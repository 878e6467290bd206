//! Writes Secrets. Client required.
//!
//! They are not watched: whoever puts one among the children wants it written.

use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::Value;

use super::{Error, Onto, Place, ownership};
use crate::{
    authority::{bundle, merge_params},
    children::Owner,
    compare,
    context::{Context, FIELD_MANAGER},
    store::Key,
    telemetry::api_errors::Fault,
};

/// All of them, at once; every one is tried even if another fails.
pub(super) async fn all(ctx: &Context, owner: &Owner, desired: Vec<Secret>) -> Result<Vec<Secret>, Error> {
    join_all(desired.iter().map(|secret| bring(ctx, owner, secret))).await.into_iter().collect()
}

async fn bring(ctx: &Context, owner: &Owner, desired: &Secret) -> Result<Secret, Error> {
    let at = Place::of::<Secret>(&desired.metadata);
    let mut body = serde_json::to_value(desired).map_err(|source| at.unreadable(source.into()))?;
    compare::stamp(&mut body);
    let found = match ctx.secrets.known(&at.key) {
        Some(Some(found)) => found,
        _ => match write(ctx, &at, &body, Onto::Nothing).await {
            // There is one, whoever it belongs to.
            Err(refused) if refused.fault() == Some(Fault::Conflict) => {
                let read = ctx.secrets.read(&at.key).await;
                let read = read.map_err(|failure| at.failed("look up", *failure.source))?;
                // None: deleted between the two calls. The next pass makes it.
                read.ok_or(refused)?
            }
            done => return done,
        },
    };
    ownership::of_secret(&found, owner).check(&at)?;
    write(ctx, &at, &body, Onto::Object(&found.uid)).await
}

/// Replaces the bundle in a Secret of the owner, and leaves certificate and key as they are.
pub(crate) async fn trust(ctx: &Context, owner: &Owner, name: &str, bundle_pem: &str) -> Result<Secret, Error> {
    let at = Place { kind: "Secret".to_owned(), key: Key::new(&owner.namespace, name) };
    let found = match ctx.secrets.known(&at.key) {
        Some(Some(found)) => Some(found),
        _ => ctx.secrets.read(&at.key).await.map_err(|failure| at.failed("look up", *failure.source))?,
    };
    if let Some(found) = &found {
        ownership::of_secret(found, owner).check(&at)?;
    }
    let uid = found.map(|found| found.uid.clone()).unwrap_or_default();
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &owner.namespace);
    let written = api.patch(name, &merge_params(), &Patch::Merge(bundle(&uid, bundle_pem))).await;
    match written {
        Ok(secret) => {
            ctx.secrets.remember(&at.key, Some(Arc::new(secret.metadata.clone().into())));
            Ok(secret)
        }
        Err(source) => {
            ctx.secrets.forget(&at.key);
            Err(at.failed("renew the bundle of", source))
        }
    }
}

async fn write(ctx: &Context, at: &Place, body: &Value, onto: Onto<'_>) -> Result<Secret, Error> {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &at.key.namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = api.patch(&at.key.name, &params, &Patch::Apply(onto.aim(body.clone()))).await;
    match written {
        Ok(secret) => {
            ctx.secrets.remember(&at.key, Some(Arc::new(secret.metadata.clone().into())));
            Ok(secret)
        }
        Err(source) => {
            // What was known of it was wrong.
            ctx.secrets.forget(&at.key);
            Err(at.failed("apply", source))
        }
    }
}
