//! The controller of LlmApiKey: says whether a key counts, and makes one where it is asked for. Client required.
//!
//! The gateway judges keys by itself, from their specs, so that a revocation waits for nobody. Status is for people.

mod build;
mod error;
mod key;
mod observe;
mod plan;
mod status;
#[cfg(test)]
mod tests;
mod validate;

use std::time::Duration;

use alcazar_crds::{
    llm_api_key::{LlmApiKey, LlmApiKeyStatus},
    reasons::ApiKeyReason,
};
use kube::Resource as _;
use serde::Serialize;

pub use self::error::Error;
use self::{
    build::build,
    key::ApiKey,
    observe::{Observed, observe},
    plan::{Plan, plan},
    status::Seen,
    validate::{Origin, Validated, validate},
};
use super::grant;
use crate::{
    apply::apply,
    conditions::Transition,
    context::Context,
    random,
    runner::{Action, Controller},
    status::{Written, write},
};

/// Secrets are never watched: one that was deleted is noticed after this time.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The controller. It remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct LlmApiKeys;

impl Controller for LlmApiKeys {
    type Kind = LlmApiKey;
    type Error = Error;
    const NAME: &'static str = "llmapikey";

    /// A pass is one write itself: none before it.
    fn first_status(&self, _ctx: &Context, _key: &LlmApiKey) -> Option<impl Serialize + Send + Sync> {
        None::<LlmApiKeyStatus>
    }

    async fn reconcile(&self, ctx: &Context, object: LlmApiKey) -> Result<Action, Error> {
        let now = ctx.clock.now();
        let valid = match validate(&object, &ctx.settings.propagated_labels) {
            Ok(valid) => valid,
            Err(invalid) => return report(ctx, &object, &status::refused(&object, invalid, now)).await,
        };
        let observed = observe(ctx, &object, &valid).await?;
        let plan = plan(&object, &valid, &observed, now);
        let hash = match make(ctx, &object, &valid, &plan).await {
            Ok(hash) => hash,
            Err(Error::Apply { source }) => {
                if let Some(trouble) = status::trouble(&source) {
                    let older = observed.older.as_ref();
                    let seen = Seen { object: &object, hash: None, older, trouble: Some(&trouble) };
                    report(ctx, &object, &status::compute(&seen, now)).await?;
                }
                return Err(Error::Apply { source });
            }
            Err(other) => return Err(other),
        };
        let seen = Seen { object: &object, hash, older: observed.older.as_ref(), trouble: None };
        let reported = report(ctx, &object, &status::compute(&seen, now)).await?;
        let looks = if matches!(valid.origin, Origin::Made { .. }) {
            Action::requeue_after(LOOK_AGAIN)
        } else {
            Action::await_change()
        };
        Ok(reported.or_sooner(looks).or_sooner(grant::until(object.spec.expires_at.as_ref(), now)))
    }
}

/// The hash of the key that the Secret holds, after making it where that is planned.
async fn make(ctx: &Context, object: &LlmApiKey, valid: &Validated, plan: &Plan) -> Result<Option<String>, Error> {
    match plan {
        Plan::Nothing => Ok(None),
        Plan::Keep { hash } => Ok(Some(hash.clone())),
        Plan::Make { secret_name, replaces } => {
            let key = ApiKey::from_random(&random::bytes().map_err(|source| Error::Random { source })?);
            let resources = build(valid, secret_name, &key);
            apply(ctx, &valid.owner, resources).await.map_err(|source| Error::Apply { source })?;
            if *replaces {
                ctx.recorder.publish(&object.object_ref(&()), &replaced(secret_name)).await;
            }
            Ok(Some(key.hash()))
        }
    }
}

fn replaced(secret_name: &str) -> Transition {
    Transition {
        warning: true,
        reason: ApiKeyReason::Replaced.as_str().to_owned(),
        message: format!("Secret {secret_name} held no key any more: a new one was made, and the old one is refused"),
    }
}

/// Brings the status to the API server and says when to come back for it.
async fn report(ctx: &Context, object: &LlmApiKey, new: &LlmApiKeyStatus) -> Result<Action, Error> {
    match write(ctx, object, object.status.as_ref(), new).await {
        Ok(Written::Held(wait)) => Ok(Action::requeue_after(wait)),
        Ok(Written::Unchanged | Written::Patched) => Ok(Action::await_change()),
        Err(source) => Err(Error::Report { source }),
    }
}
