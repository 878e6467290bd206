//! What is there: the Secret of a key that the operator made, and an older object with the same hash. Client required.

use std::sync::Arc;

use alcazar_contract::gateway::key::SECRET_ENTRY;
use alcazar_crds::llm_api_key::LlmApiKey;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{ApiKey, Error, Origin, Validated};
use crate::{context::Context, controller::grant, store::Key};

/// What a pass found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Hash of the key in the Secret, if that is ours and holds one.
    pub(crate) stored: Option<String>,
    /// The oldest object with the same hash, if that is not this one.
    pub(crate) older: Option<Key>,
}

pub(crate) async fn observe(ctx: &Context, object: &LlmApiKey, valid: &Validated) -> Result<Observed, Error> {
    let stored = match &valid.origin {
        Origin::Told { .. } => None,
        Origin::Made { secret_name } => read(ctx, valid, secret_name).await?,
    };
    let hash = match &valid.origin {
        Origin::Told { hash } => Some(hash),
        Origin::Made { .. } => stored.as_ref(),
    };
    let older = hash.and_then(|hash| grant::older(&ctx.stores.llm_api_keys, object, hash));
    Ok(Observed { stored, older })
}

async fn read(ctx: &Context, valid: &Validated, name: &str) -> Result<Option<String>, Error> {
    let key = Key::new(&valid.owner.namespace, name);
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let read = secrets.get_opt(name).await;
    let secret = read.map_err(|source| Error::ReadSecret { key: key.clone(), source: Box::new(source) })?;
    // The apply that may follow need not look again.
    ctx.secrets.remember(&key, secret.as_ref().map(|secret| Arc::new(secret.metadata.clone().into())));
    Ok(secret.and_then(|secret| hash_of(&secret, &valid.owner.uid)))
}

/// Nothing is read from a Secret of somebody else, not even to tell its hash.
pub(super) fn hash_of(secret: &Secret, uid: &str) -> Option<String> {
    let mut owners = secret.metadata.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true) && owner.uid == uid)?;
    Some(ApiKey::read(&secret.data.as_ref()?.get(SECRET_ENTRY)?.0)?.hash())
}
