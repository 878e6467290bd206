//! The certificates in the Secrets of the deployments, read by name and remembered by their public part. Client required.
//!
//! Secrets are never listed or watched, so nothing tells of a change. One is read by each pass that comes a while after the
//! last read: with any change of the deployment or its children, else with the resync. A pod that hangs makes it sooner,
//! since it may hang for want of the Secret. A steady state makes no call here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alcazar_crds::llm_deployment::LlmDeployment;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Resource as _};

use crate::{
    authority::{CA_CRT, KnownLeaf, TLS_CRT, TLS_KEY},
    context::Context,
    controller::deployment::{Error, build::tls_secret_name},
    status::key_of,
    store::Key,
};

/// How long what was read or written is taken for true: the passes of one rollout share a read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// While a pod hangs.
const READ_AGAIN_IN_NEED: Duration = Duration::from_secs(3);

/// What is known of the Secrets, by the uid of the deployment: one of the same name made later is another one.
#[derive(Debug, Default)]
pub(crate) struct Leaves(Mutex<HashMap<String, Known>>);

#[derive(Debug)]
struct Known {
    deployment: Key,
    read_at: Instant,
    leaf: KnownLeaf,
}

impl Leaves {
    fn known(&self, uid: &str, max_age: Duration) -> Option<KnownLeaf> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(uid).filter(|known| known.read_at.elapsed() < max_age).map(|known| known.leaf.clone())
    }

    /// Keeps what was read or written. A missing Secret is not remembered: it is about to be written.
    pub(crate) fn remember(&self, owner: &LlmDeployment, secret: Option<&Secret>) -> Option<KnownLeaf> {
        let uid = owner.meta().uid.clone()?;
        let leaf = secret.filter(|secret| is_controlled_by(secret, &uid)).and_then(parse);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match leaf.clone() {
            Some(leaf) => known.insert(uid, Known { deployment: key_of(owner), read_at: Instant::now(), leaf }),
            None => known.remove(&uid),
        };
        leaf
    }

    /// Drops deployments that are gone.
    pub(crate) fn retain(&self, is_there: impl Fn(&Key, &str) -> bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|uid, known| is_there(&known.deployment, uid));
    }
}

/// The certificate of a deployment, remembered or read.
pub(crate) async fn read(
    ctx: &Context,
    leaves: &Leaves,
    owner: &LlmDeployment,
    in_need: bool,
) -> Result<Option<KnownLeaf>, Error> {
    let deployment = key_of(owner);
    let uid = owner.meta().uid.as_deref().unwrap_or_default();
    if let Some(known) = leaves.known(uid, if in_need { READ_AGAIN_IN_NEED } else { READ_AGAIN_AFTER }) {
        return Ok(Some(known));
    }
    if is_new(ctx, owner, &deployment) {
        return Ok(None);
    }
    let name = tls_secret_name(&deployment.name);
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &deployment.namespace);
    let key = Key::new(&deployment.namespace, &name);
    let read = secrets.get_opt(&name).await;
    let secret = read.map_err(|source| Error::ReadSecret { key: key.clone(), source })?;
    // The apply that may follow need not look again.
    ctx.secrets.remember(&key, secret.as_ref().map(|secret| Arc::new(secret.metadata.clone().into())));
    Ok(leaves.remember(owner, secret.as_ref()))
}

/// Whether nothing was made for it yet. Nothing is lost if there is a Secret all the same: no pod is made before the
/// ServiceAccount, so none has mounted it.
fn is_new(ctx: &Context, owner: &LlmDeployment, key: &Key) -> bool {
    // The first status, before any pass, says nothing of the pods.
    let is_unreported = owner.status.as_ref().is_none_or(|status| status.selector.is_none());
    is_unreported && ctx.stores.service_accounts.get(key).is_none()
}

/// One that an earlier deployment of the same name left is about to be collected.
fn is_controlled_by(secret: &Secret, uid: &str) -> bool {
    let owners = secret.metadata.owner_references.iter().flatten();
    owners.filter(|owner| owner.controller == Some(true)).any(|owner| owner.uid == uid)
}

fn parse(secret: &Secret) -> Option<KnownLeaf> {
    let data = secret.data.as_ref()?;
    let file = |key: &str| data.get(key).map(|bytes| bytes.0.as_slice());
    KnownLeaf::read(file(TLS_CRT)?, file(TLS_KEY)?, file(CA_CRT)?)
}
