//! What is there: the model, the Deployment, the pods and what they tell, the certificate. Client required.

pub(crate) mod leaves;
pub(crate) mod targets;

use std::sync::Arc;

use alcazar_contract::status::ServeStatus;
use alcazar_crds::{llm_deployment::LlmDeployment, llm_model::LlmModel};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event, Pod},
};
use kube::{Api, ResourceExt as _, api::ListParams};

use super::{
    Error, State,
    reports::{Answers, DoorTried, Report},
};
use crate::{
    authority::{Authority, KnownLeaf},
    children::OwnerKind,
    context::Context,
    store::{Key, Kind, OwnerKey},
};

/// A pod whose containers have not begun after this time hangs: its Events are asked for the cause.
const HANGS_AFTER: SignedDuration = SignedDuration::from_secs(3);

/// All that a pass knows.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The LlmModel that the spec means.
    pub(crate) model: Option<LlmModel>,
    /// The LlmModel that this deployment owns, meant by the spec or not.
    pub(crate) own_model: Option<LlmModel>,
    /// The Deployment as it is.
    pub(crate) deployment: Option<Deployment>,
    /// Pods, those on their way out included.
    pub(crate) pods: Vec<ObservedPod>,
    /// The certificate in the Secret.
    pub(crate) leaf: Option<KnownLeaf>,
    /// The authority, or why there is none.
    pub(crate) authority: Result<Arc<Authority>, String>,
    /// Whether the canary answers the operator itself.
    pub(crate) canary: Answers,
}

/// A pod and what is known of it beyond the API.
#[derive(Clone, Debug)]
pub(crate) struct ObservedPod {
    /// As the API server has it.
    pub(crate) pod: Pod,
    /// What it told when it was last asked.
    pub(crate) report: Report,
    /// What came of the operator's attempts at its model port.
    pub(crate) door: DoorTried,
    /// Whether its containers should have begun by now.
    pub(crate) hangs: bool,
    /// Words of the last warning about it; asked for only while it hangs.
    pub(crate) warning: Option<String>,
}

impl ObservedPod {
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.pod.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub(crate) fn told(&self) -> Option<&ServeStatus> {
        match &self.report {
            Report::Told(status) => Some(status),
            Report::NotAsked { .. } | Report::Silent => None,
        }
    }
}

/// Reads what the pass needs, nearly all of it from the caches.
pub(crate) async fn observe(ctx: &Context, state: &State, object: &LlmDeployment) -> Result<Observed, Error> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let key = Key::new(&namespace, &name);
    let now = ctx.clock.now();
    let model_key = Key::new(&namespace, object.spec.model_name.as_deref().unwrap_or(&name));
    let own_model: Option<LlmModel> = controlled(ctx, object, &key)?;
    let pods = pods(ctx, state, &key, now).await?;
    let hangs = pods.iter().any(|pod| pod.hangs);
    Ok(Observed {
        model: match object.spec.model_name {
            Some(_) => cached(ctx, &model_key)?,
            None => own_model.clone(),
        },
        own_model,
        deployment: controlled(ctx, object, &key)?,
        pods,
        leaf: leaves::read(ctx, &state.leaves, object, hangs).await?,
        authority: ctx.authority.get(&ctx.client, now).await.map_err(|failure| describe(&failure)),
        canary: state.control.answers(),
    })
}

fn cached<K: Kind>(ctx: &Context, key: &Key) -> Result<Option<K>, Error> {
    let Some(cached) = K::store(&ctx.stores).get(key) else { return Ok(None) };
    let parsed = cached.parse();
    parsed.map(Some).map_err(|source| Error::ReadCached { kind: K::kind(&()).into_owned(), key: key.clone(), source })
}

/// Only if this very deployment controls it: one of the same name may be somebody else's.
fn controlled<K: Kind>(ctx: &Context, owner: &LlmDeployment, key: &Key) -> Result<Option<K>, Error> {
    let ours = K::store(&ctx.stores)
        .get(key)
        .is_some_and(|cached| owner.metadata.uid.is_some() && cached.controller_uid() == owner.metadata.uid.as_deref());
    if ours { cached(ctx, key) } else { Ok(None) }
}

async fn pods(ctx: &Context, state: &State, key: &Key, now: Timestamp) -> Result<Vec<ObservedPod>, Error> {
    let owner = OwnerKey { kind: OwnerKind::Deployment, key: key.clone() };
    let mut observed = Vec::new();
    for (pod_key, cached) in ctx.stores.pods.of_owner(&owner) {
        let pod = cached.parse();
        let pod = pod.map_err(|source| Error::ReadCached { kind: "Pod".to_owned(), key: pod_key, source })?;
        let hangs = hangs(&pod, now);
        let warning = if hangs { warning(ctx, &pod).await } else { None };
        observed.push(ObservedPod {
            report: state.reports.of(cached.uid()),
            door: state.reports.door(cached.uid()),
            hangs,
            warning,
            pod,
        });
    }
    Ok(observed)
}

/// On a node for a while, and no container has begun.
fn hangs(pod: &Pod, now: Timestamp) -> bool {
    let Some(status) = &pod.status else { return false };
    if pod.metadata.deletion_timestamp.is_some() || status.phase.as_deref() != Some("Pending") {
        return false;
    }
    let scheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "True");
    let since = scheduled.and_then(|condition| condition.last_transition_time.as_ref());
    let waits = status.container_statuses.iter().flatten().all(|container| {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("ContainerCreating"))
    });
    waits && since.is_some_and(|since| now.duration_since(since.0) >= HANGS_AFTER)
}

/// Events are a help, not a truth: none, or no right to read them, is fine.
async fn warning(ctx: &Context, pod: &Pod) -> Option<String> {
    let events: Api<Event> = Api::namespaced(ctx.client.clone(), pod.metadata.namespace.as_deref()?);
    let fields = format!("involvedObject.uid={},type=Warning", pod.metadata.uid.as_deref()?);
    let listed = events.list(&ListParams::default().fields(&fields).limit(20)).await;
    let events = match listed {
        Ok(events) => events.items,
        Err(failure) => {
            tracing::debug!(error = %failure, "failed to list the Events of a pod that hangs");
            return None;
        }
    };
    let last = events.into_iter().max_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0))?;
    Some(format!("{}: {}", last.reason.unwrap_or_default(), last.message.unwrap_or_default()))
}

/// An error with its causes, for people.
pub(crate) fn describe(failure: &dyn std::error::Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
