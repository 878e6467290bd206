//! One turn of one object: its first status, or a pass. Client required.

use std::{sync::Arc, time::Instant};

use futures::FutureExt as _;
use tracing::{Instrument as _, debug, error, info_span, warn};

use super::{Action, Controller, ErrorClass, Finished, Next, PassError as _};
use crate::{
    context::Context,
    queue::Lane,
    status,
    store::{Cached, Key, Kind as _},
};

/// One turn of one object; a panic in it is an error of that object alone.
pub(super) async fn turn<C: Controller>(controller: Arc<C>, ctx: Arc<Context>, key: Key, lane: Lane) -> Finished {
    let span = info_span!("reconcile", controller = C::NAME, namespace = key.namespace, name = key.name);
    let visit = visit(&*controller, &ctx, &key, lane);
    let next = match std::panic::AssertUnwindSafe(visit).catch_unwind().instrument(span).await {
        Ok(next) => next,
        Err(_panic) => {
            error!(controller = C::NAME, object = %key, "a pass panicked; this is a fault of the operator");
            ctx.metrics.reconcile_failed(C::NAME, "Panicked");
            Next::Failed
        }
    };
    Finished { key, lane, next }
}

async fn visit<C: Controller>(controller: &C, ctx: &Context, key: &Key, lane: Lane) -> Next {
    let Some(cached) = C::Kind::store(&ctx.stores).get(key) else {
        ctx.metrics.forget(C::NAME, key);
        return Next::Forget;
    };
    if cached.is_terminating() {
        // Owner references do the work; the deletion itself wakes this again.
        return Next::Await;
    }
    let object = match read::<C>(ctx, &cached) {
        Ok(object) => object,
        Err(next) => return next,
    };
    if lane == Lane::First {
        return first_visit(controller, ctx, &object).await;
    }
    let began = Instant::now();
    let result = controller.reconcile(ctx, object).await;
    ctx.metrics.reconciled(C::NAME, began.elapsed(), result.is_ok());
    match result {
        Ok(Action { requeue: Some(delay) }) => Next::Requeue(delay),
        Ok(Action { requeue: None }) => Next::Await,
        Err(failure) => report::<C>(ctx, &failure),
    }
}

async fn first_visit<C: Controller>(controller: &C, ctx: &Context, object: &C::Kind) -> Next {
    let Some(status) = controller.first_status(ctx, object) else { return Next::Visit };
    match status::patch(ctx, object, &status).await {
        Ok(()) => Next::Visit,
        Err(failure) => {
            warn!(error = %failure, "failed to write the first status");
            ctx.metrics.reconcile_failed(C::NAME, failure.reason());
            Next::Failed
        }
    }
}

/// An object that is not of its kind's shape (an older or newer version of ours wrote it) waits for a change, alone.
fn read<C: Controller>(ctx: &Context, cached: &Cached<C::Kind>) -> Result<C::Kind, Next> {
    cached.parse().map_err(|source| {
        error!(error = %source, "the object cannot be read; it waits for a change");
        ctx.metrics.reconcile_failed(C::NAME, "Undeserialisable");
        Next::Await
    })
}

/// The one place where the outcome of a failed pass is told.
fn report<C: Controller>(ctx: &Context, failure: &C::Error) -> Next {
    ctx.metrics.reconcile_failed(C::NAME, failure.reason());
    match failure.class() {
        ErrorClass::Await => {
            warn!(error = %failure, reason = failure.reason(), "the pass failed; waiting for a change");
            Next::Await
        }
        ErrorClass::RequeueAfter(delay) => {
            debug!(error = %failure, reason = failure.reason(), "the pass failed; trying again");
            Next::Requeue(delay)
        }
        ErrorClass::Backoff => {
            warn!(error = %failure, reason = failure.reason(), "the pass failed; trying again later");
            Next::Failed
        }
    }
}
