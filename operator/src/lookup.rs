//! An object from its store or, where the store lacks it, from the API server. Client required.
//!
//! The stores hold what carries our label. Absence from one may mean that somebody took the label away, so nothing is made,
//! replaced or given up on absence alone.

use std::sync::Arc;

use kube::Api;

use crate::{
    context::Context,
    store::{Cached, Key, Kind, WatchedObject},
};

/// The object as the store has it, else as the API server has it now.
pub async fn find<K: Kind>(ctx: &Context, key: &Key) -> Result<Option<Arc<Cached<K>>>, kube::Error> {
    match K::store(&ctx.stores).get(key) {
        Some(cached) => Ok(Some(cached)),
        None => get(ctx, key).await,
    }
}

/// The object as the API server has it now. Not into the store: no watch would ever tell that it is gone.
pub async fn get<K: Kind>(ctx: &Context, key: &Key) -> Result<Option<Arc<Cached<K>>>, kube::Error> {
    let api: Api<WatchedObject<K>> = Api::namespaced(ctx.client.clone(), &key.namespace);
    Ok(api.get_opt(&key.name).await?.map(|object| Arc::new(object.into())))
}
