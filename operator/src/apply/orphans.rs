//! Deletes children that are no longer wanted. Client required.

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api,
    api::{DeleteParams, Preconditions, PropagationPolicy},
};
use tracing::info;

use super::{Error, Place, Wanted};
use crate::{
    children::Owner,
    context::Context,
    store::{Cached, Key, Kind, OwnerKey},
};

/// All children of this very owner whose names are not wanted. Call it only after everything wanted is applied.
pub(super) async fn remove(ctx: &Context, owner: &Owner, wanted: &Wanted) -> Result<(), Error> {
    // Pods go with their Deployment or Job; Secrets are not listed.
    remove_kind::<Deployment>(ctx, owner, wanted).await?;
    remove_kind::<Job>(ctx, owner, wanted).await?;
    remove_kind::<Service>(ctx, owner, wanted).await?;
    remove_kind::<PodDisruptionBudget>(ctx, owner, wanted).await?;
    remove_kind::<ServiceAccount>(ctx, owner, wanted).await?;
    remove_kind::<PersistentVolumeClaim>(ctx, owner, wanted).await?;
    remove_kind::<alcazar_crds::llm_model::LlmModel>(ctx, owner, wanted).await?;
    // The firewall last: no pod without one.
    remove_kind::<NetworkPolicy>(ctx, owner, wanted).await
}

async fn remove_kind<K: Kind>(ctx: &Context, owner: &Owner, wanted: &Wanted) -> Result<(), Error> {
    let of = OwnerKey { kind: owner.kind, key: Key::new(owner.namespace.clone(), owner.name.clone()) };
    for (key, live) in K::store(&ctx.stores).of_owner(&of) {
        let ours = live.controller_uid() == Some(owner.uid.as_str());
        if ours && !live.is_terminating() && !wanted.has::<K>(&key.name) {
            let at = Place { kind: K::kind(&()).into_owned(), key };
            info!(kind = at.kind, name = at.key.name, "deleting a child that is no longer wanted");
            delete(ctx, &at, &live).await?;
        }
    }
    Ok(())
}

/// Deletes exactly the object that was seen; one that changed meanwhile stays. Answers whether it is gone already.
pub(super) async fn delete<K: Kind>(ctx: &Context, at: &Place, live: &Cached<K>) -> Result<bool, Error> {
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: Some(live.uid().to_owned()),
            resource_version: Some(live.version().to_string()),
        }),
        ..DeleteParams::default()
    };
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &at.key.namespace);
    match api.delete(&at.key.name, &params).await {
        // The object itself: finalizers hold it. A status: it is gone.
        Ok(answer) if answer.is_left() => Ok(false),
        Ok(_) => {
            K::store(&ctx.stores).forget(&at.key, live.uid());
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.code == 404 => {
            K::store(&ctx.stores).forget(&at.key, live.uid());
            Ok(true)
        }
        Err(source) => Err(at.failed("delete", source)),
    }
}
