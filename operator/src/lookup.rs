//! An object from its store or, where the store lacks it, from the API server. Client required.
//!
//! The stores hold what carries our label. Absence from one may mean that somebody took the label away, so nothing is made,
//! replaced or given up on absence alone.

use std::sync::Arc;

use kube::{Api, api::GetParams};

use crate::{
    context::Context,
    store::{Cached, Key, Kind, WatchedObject},
};

/// The object as the store has it, else as the API server has it now.
pub async fn find<K: Kind>(ctx: &Context, key: &Key) -> Result<Option<Arc<Cached<K>>>, kube::Error> {
    match K::store(&ctx.stores).get(key) {
        Some(cached) => Ok(Some(cached)),
        None => get(ctx, key, &GetParams::default()).await,
    }
}

/// As [`find`], for an object that most likely does not exist: then the API server's cache may say so, which costs it a
/// fraction. That it does exist must be true now.
pub async fn find_new<K: Kind>(ctx: &Context, key: &Key) -> Result<Option<Arc<Cached<K>>>, kube::Error> {
    if let Some(cached) = K::store(&ctx.stores).get(key) {
        return Ok(Some(cached));
    }
    match get::<K>(ctx, key, &GetParams::any()).await? {
        Some(_) => get(ctx, key, &GetParams::default()).await,
        None => Ok(None),
    }
}

/// Not into the store: no watch would ever tell that it is gone.
async fn get<K: Kind>(ctx: &Context, key: &Key, params: &GetParams) -> Result<Option<Arc<Cached<K>>>, kube::Error> {
    let api: Api<WatchedObject<K>> = Api::namespaced(ctx.client.clone(), &key.namespace);
    match api.get_with(&key.name, params).await {
        Ok(object) => Ok(Some(Arc::new(object.into()))),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(failure) => Err(failure),
    }
}
