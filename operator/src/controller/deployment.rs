//! The controller of LlmDeployment: from one YAML to pods that serve a verified model behind a firewall. Client required.

pub(crate) mod build;
mod error;
pub(crate) mod observe;
pub(crate) mod plan;
pub(crate) mod reports;
pub(crate) mod status;
#[cfg(test)]
mod test_support;
pub(crate) mod validate;

use std::{sync::Arc, time::Duration};

use alcazar_crds::llm_deployment::{LlmDeployment, LlmDeploymentStatus};
use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use self::error::Error;
use self::{
    build::{Issued, Tls, build, tls_secret_name},
    observe::{leaves::Leaves, observe, targets::FoundTargets},
    plan::{LeafPlan, Plan, plan},
    reports::{Control, Reports},
    status::{Seen, cause::Cause},
    validate::{Site, ValidatedDeployment, validate},
};
use crate::{
    apply::{apply, trust},
    authority::LeafNames,
    children::{Applied, Owner, Resources},
    context::Context,
    runner::{Action, Controller, Waker},
    status::{Written, write},
};

/// What is remembered of deployments that are gone is dropped this often.
const FORGET_EVERY: Duration = Duration::from_mins(1);

/// What the operator could not find out is looked for again after this time.
const RETRY: Duration = Duration::from_secs(5);

/// The controller with what it remembers between passes. A clone shares it.
#[derive(Clone, Debug)]
pub struct LlmDeployments(Arc<State>);

#[derive(Debug)]
pub(crate) struct State {
    leaves: Leaves,
    reports: Reports,
    targets: FoundTargets,
    control: Control,
}

impl LlmDeployments {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(ctx: &Context) -> Self {
        Self(Arc::new(State {
            leaves: Leaves::default(),
            reports: Reports::new(ctx.clock.now()),
            targets: FoundTargets::default(),
            control: Control::default(),
        }))
    }

    /// Asks the pods how they are until `stop`, and wakes the deployments whose status their answers change.
    pub async fn watch_pods(self, ctx: Arc<Context>, waker: Waker, stop: CancellationToken) {
        let forget = async {
            let mut tick = tokio::time::interval(FORGET_EVERY);
            loop {
                tick.tick().await;
                let store = &ctx.stores.llm_deployments;
                self.0.leaves.retain(|key, uid| store.get(key).is_some_and(|there| there.uid() == uid));
            }
        };
        tokio::select! {
            () = self.0.reports.run(&ctx, &waker, &stop) => {}
            () = self.0.control.run(&ctx, &self.0.targets, &waker) => {}
            () = forget => {}
        }
    }
}

impl Controller for LlmDeployments {
    type Kind = LlmDeployment;
    type Error = Error;
    const NAME: &'static str = "llmdeployment";

    fn first_status(&self, ctx: &Context, object: &LlmDeployment) -> Option<impl Serialize + Send> {
        let seen = object.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(-1) >= 0;
        (!seen).then(|| status::first(object, ctx.clock.now()))
    }

    async fn reconcile(&self, ctx: &Context, object: LlmDeployment) -> Result<Action, Error> {
        let state = &*self.0;
        let now = ctx.clock.now();
        let targets = state.targets.get(ctx).await;
        let observed = observe(ctx, state, &object).await?;
        let site = Site { settings: &ctx.settings, isolation_targets: &targets, operator_namespace: &ctx.namespace };
        let valid = match validate(&object, &observed, site) {
            Ok(valid) => valid,
            Err(invalid) => {
                let told = report(ctx, &object, &status::refused(&object, &invalid, now)).await?;
                return Ok(told.or_sooner(retry(&invalid)));
            }
        };
        let plan = plan(&valid, &observed, now);
        let (tls, trouble) = issue(&valid, &plan, now)?;
        let applied = apply(ctx, &valid.owner, build(&valid, &plan, &tls)).await;
        let seen = Seen {
            object: &object,
            valid: &valid,
            observed: &observed,
            plan: &plan,
            model: observed.model.as_ref(),
            deployment: observed.deployment.as_ref(),
            trouble: trouble.as_ref(),
        };
        match applied {
            Ok(applied) => {
                state.remember(&object, &applied);
                let status = status::compute(seen.after(&applied), now);
                let told = report(ctx, &object, &status).await?;
                state.renew_bundle(ctx, &object, &valid.owner, &plan).await?;
                Ok(told.or_sooner(plan.action()))
            }
            Err(failure) => {
                let trouble = status::trouble(&failure);
                let status = status::compute(Seen { trouble: Some(&trouble), ..seen }, now);
                report(ctx, &object, &status).await?;
                Err(Error::Apply { source: failure })
            }
        }
    }
}

impl State {
    fn remember(&self, object: &LlmDeployment, applied: &Resources<Applied>) {
        if let Some(secret) = applied.secrets.first() {
            self.leaves.remember(object, Some(secret));
        }
    }

    /// The certificate stays, so no pod is restarted for it.
    async fn renew_bundle(
        &self,
        ctx: &Context,
        object: &LlmDeployment,
        owner: &Owner,
        plan: &Plan,
    ) -> Result<(), Error> {
        let LeafPlan::Rebundle { bundle_pem, .. } = &plan.leaf else { return Ok(()) };
        let written = trust(ctx, owner, &tls_secret_name(&owner.name), bundle_pem).await;
        let secret = written.map_err(|source| Error::Apply { source })?;
        self.leaves.remember(object, Some(&secret));
        Ok(())
    }
}

/// Signs a new certificate where the plan says so. Keys need randomness, so this is a step of its own.
fn issue(valid: &ValidatedDeployment, plan: &Plan, now: Timestamp) -> Result<(Tls, Option<Cause>), Error> {
    let mounted = |fingerprint: &str| Tls { fingerprint: fingerprint.to_owned(), issued: None };
    match &plan.leaf {
        LeafPlan::Keep(fingerprint) | LeafPlan::Rebundle { fingerprint, .. } => Ok((mounted(fingerprint), None)),
        LeafPlan::Lacking { running, why } => {
            Ok((mounted(running.as_deref().unwrap_or_default()), Some(status::no_certificate(why))))
        }
        LeafPlan::Issue { authority, why } => {
            let names = LeafNames::of(&valid.owner.name, &valid.owner.namespace);
            let leaf = authority.issue(&names, now).map_err(Error::issue)?;
            tracing::info!(?why, fingerprint = leaf.fingerprint, not_after = %leaf.not_after, "issued a certificate");
            let ca_pem = authority.bundle_pem(now);
            Ok((Tls { fingerprint: leaf.fingerprint.clone(), issued: Some(Issued { leaf, ca_pem }) }, None))
        }
    }
}

/// A spec waits for a change; what the operator could not find out may show by itself.
fn retry(invalid: &validate::Error) -> Action {
    match invalid {
        validate::Error::NothingToProve => Action::requeue_after(RETRY),
        _ => Action::await_change(),
    }
}

/// Brings the status to the API server and says when to come back for it.
async fn report(ctx: &Context, object: &LlmDeployment, new: &LlmDeploymentStatus) -> Result<Action, Error> {
    match write(ctx, object, object.status.as_ref(), new).await {
        Ok(Written::Held(wait)) => Ok(Action::requeue_after(wait)),
        Ok(Written::Unchanged | Written::Patched) => Ok(Action::await_change()),
        Err(source) => Err(Error::Report { source }),
    }
}
