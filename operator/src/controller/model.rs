//! The controller of LlmModel: from a source to sealed files on a volume. Client required.

pub(crate) mod build;
mod cause;
mod error;
mod host;
pub(crate) mod observe;
pub(crate) mod plan;
mod progress;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod validate;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use alcazar_crds::llm_model::{LlmModel, LlmModelStatus};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use self::error::Error;
use self::{
    build::{Recorded, Site, build},
    observe::{
        observe,
        reach::{Reach, Unreachable, reach},
    },
    plan::{Next, next, plan},
    progress::Progress,
    status::Seen,
    validate::{ValidatedModel, Work, validate},
};
use crate::{
    apply::apply,
    context::Context,
    runner::{Action, Controller, Waker},
    status::{Written, write},
};

/// The controller with what it remembers between passes. A clone shares it.
#[derive(Clone, Debug, Default)]
pub struct LlmModels(Arc<State>);

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    recorded: RecordedByUid,
}

/// What was last looked up for a model, by its uid. It wins over the annotation: somebody may have edited that.
#[derive(Debug, Default)]
struct RecordedByUid(Mutex<HashMap<String, Recorded>>);

impl RecordedByUid {
    fn of(&self, uid: &str) -> Option<Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    fn remember(&self, uid: &str, recorded: Recorded) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), recorded);
    }

    fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| is_there(uid));
    }
}

impl LlmModels {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the fetch pods how far they are until `stop`, and wakes the models with news.
    pub async fn watch_fetches(self, ctx: Arc<Context>, waker: Waker, stop: CancellationToken) {
        let forget = async {
            let mut tick = tokio::time::interval(std::time::Duration::from_mins(1));
            loop {
                tick.tick().await;
                let uids = ctx.stores.llm_models.uids();
                self.0.recorded.retain(|uid| uids.contains(uid));
            }
        };
        tokio::select! {
            () = self.0.progress.run(&ctx, &waker, &stop) => {}
            () = forget => {}
        }
    }
}

impl Controller for LlmModels {
    type Kind = LlmModel;
    type Error = Error;
    const NAME: &'static str = "llmmodel";

    fn first_status(&self, ctx: &Context, model: &LlmModel) -> Option<impl Serialize + Send + Sync> {
        let seen = model.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(-1) >= 0;
        (!seen).then(|| status::first(model, ctx.clock.now()))
    }

    async fn reconcile(&self, ctx: &Context, model: LlmModel) -> Result<Action, Error> {
        let state = &*self.0;
        let now = ctx.clock.now();
        let observed = observe(ctx, state, &model).await?;
        let valid = match validate(&model, observed.own_claim.as_ref(), &ctx.settings) {
            Ok(valid) => valid,
            Err(invalid) => return report(ctx, &model, &status::refused(&model, &invalid, now)).await,
        };
        let next = next(&model, &valid, &observed, &ctx.settings.runtime_image, now);
        let reach = reach_for(ctx, &valid, &next).await;
        let plan = plan(&valid, &model, &observed, next, reach);
        let site = Site { settings: &ctx.settings, operator_namespace: &ctx.namespace };
        let applied = apply(ctx, &valid.owner, build(&valid, &plan, observed.own_claim.as_ref(), site)).await;
        match applied {
            Ok(applied) => {
                state.recorded.remember(&valid.owner.uid, plan.recorded.clone());
                let observed = status::after(observed, &applied);
                let seen = Seen { model: &model, valid: &valid, plan: &plan, observed: &observed, trouble: None };
                Ok(report(ctx, &model, &status::compute(seen, now)).await?.or_sooner(plan.action()))
            }
            Err(failure) => {
                if let Some(trouble) = status::trouble(&failure) {
                    let seen = Seen {
                        model: &model,
                        valid: &valid,
                        plan: &plan,
                        observed: &observed,
                        trouble: Some(&trouble),
                    };
                    report(ctx, &model, &status::compute(seen, now)).await?;
                }
                Err(Error::Apply { source: failure })
            }
        }
    }
}

/// Names are looked up only for an attempt that begins.
async fn reach_for(ctx: &Context, valid: &ValidatedModel, next: &Next) -> Option<Result<Reach, Unreachable>> {
    match (next, &valid.work) {
        (Next::Begin(_), Work::Fetch { hosts, .. }) => Some(reach(ctx, hosts).await),
        _ => None,
    }
}

/// Brings the status to the API server and says when to come back for it.
async fn report(ctx: &Context, model: &LlmModel, new: &LlmModelStatus) -> Result<Action, Error> {
    match write(ctx, model, model.status.as_ref(), new).await {
        Ok(Written::Held(wait)) => Ok(Action::requeue_after(wait)),
        Ok(Written::Unchanged | Written::Patched) => Ok(Action::await_change()),
        Err(source) => Err(Error::Report { source }),
    }
}
