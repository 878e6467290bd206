//! What the model has to say to its deployment. Pure.

use alcazar_crds::{
    conditions::DeploymentCondition as Type,
    llm_model::LlmModel,
    reasons::{DeploymentReason as Reason, ModelReason},
};

use super::{
    Seen,
    cause::{Cause, quote},
};
use crate::{
    conditions::{Desired, Truth, find},
    controller::deployment::plan::offered,
};

/// Condition `ModelReady`.
pub(super) fn condition(seen: Seen<'_>) -> Desired {
    match lack(seen) {
        None => {
            let digest = seen.model.and_then(offered).map(|serving| serving.digest).unwrap_or_default();
            let message = format!("{digest} is sealed and verified");
            Desired::new(Type::ModelReady.as_str(), Truth::True, Reason::ModelSealed.as_str(), message)
        }
        Some(cause) => Desired::new(Type::ModelReady.as_str(), Truth::False, cause.reason.as_str(), cause.message),
    }
}

/// Why the model has nothing to serve for the current spec.
pub(super) fn lack(seen: Seen<'_>) -> Option<Cause> {
    let name = seen.valid.model_name();
    let Some(model) = seen.model else {
        return Some(if seen.object.spec.model_name.is_some() {
            // Whoever applies both kinds at once may send this one first: it waits, it has not failed.
            let message = format!(
                "there is no LlmModel {name} in this namespace; create it or correct spec.modelName{}",
                goes_on(seen)
            );
            Cause::waits(Reason::ModelNotFound, message)
        } else {
            Cause::waits(Reason::ModelNotReady, format!("LlmModel {name} is on its way; its status says how far"))
        });
    };
    if offered(model).is_some() {
        return None;
    }
    Some(told(seen, name, model))
}

fn told(seen: Seen<'_>, name: &str, model: &LlmModel) -> Cause {
    if model.metadata.deletion_timestamp.is_some() {
        let message = format!("LlmModel {name} is being deleted{}", goes_on(seen));
        return Cause::waits(Reason::ModelNotReady, message);
    }
    let status = model.status.as_ref();
    // What was said of an earlier spec does not count.
    let status = status.filter(|status| status.observed_generation == model.metadata.generation);
    let conditions = status.map_or(&[][..], |status| &status.conditions[..]);
    let say = |reason: &str, message: &str| {
        // The model may have said itself which digest stays.
        let known = seen.plan.serving.as_ref().is_some_and(|serving| message.contains(&serving.digest));
        let rest = if known { String::new() } else { goes_on(seen) };
        format!("LlmModel {name}: {reason}: {}{rest}", quote(message))
    };
    if let Some(stalled) = find(conditions, "Stalled").filter(|condition| condition.status == "True") {
        return Cause::stalls(Reason::ModelStalled, say(&stalled.reason, &stalled.message));
    }
    let on_its_way = || format!("LlmModel {name} is on its way; its status says how far{}", goes_on(seen));
    match find(conditions, "Ready").filter(|condition| condition.status != "True") {
        Some(ready) if !is_progress(&ready.reason) => {
            Cause::waits(Reason::ModelNotReady, say(&ready.reason, &ready.message))
        }
        Some(_) | None => Cause::waits(Reason::ModelNotReady, on_its_way()),
    }
}

/// Steps that follow by themselves: repeating each would write this status as often as the model's own.
fn is_progress(reason: &str) -> bool {
    matches!(
        ModelReason::from_name(reason),
        Some(ModelReason::Pending | ModelReason::WaitingForConsumer | ModelReason::Fetching | ModelReason::Verifying)
    )
}

/// What people want to know first when something fails: whether they are still served.
fn goes_on(seen: Seen<'_>) -> String {
    match &seen.plan.serving {
        Some(serving) => format!("; the pods go on with {}", serving.digest),
        None => String::new(),
    }
}
