//! What is there: the volume, the Job and its pod, the Secret, and what hangs. Client required.

use alcazar_contract::status::FetchStatus;
use alcazar_crds::llm_model::{LlmModel, LlmModelSpec};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Event, PersistentVolumeClaim, Pod},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, Resource, api::ListParams};
use tracing::debug;

pub(crate) mod reach;

use super::{
    Error, State,
    build::Recorded,
    validate::{claim_name, id, job_name},
};
use crate::{
    children::OwnerKind,
    context::Context,
    lookup,
    secrets::SecretKeys,
    store::{Cached, Key, Kind, OwnerKey},
};

/// What has not happened after this time hangs: Events are asked for the cause.
pub(crate) const HANGS_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// All that a pass knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Where the files lie or are to lie: the claim of ours, or the one that the source names.
    pub(crate) claim: Option<PersistentVolumeClaim>,
    /// The claim of ours, also when the source names another one.
    pub(crate) own_claim: Option<PersistentVolumeClaim>,
    /// The Job that does what the spec asks for.
    pub(crate) job: Option<Job>,
    /// Its newest pod.
    pub(crate) pod: Option<Pod>,
    /// What was written beside the firewall at the last attempt.
    pub(crate) recorded: Option<Recorded>,
    /// The Secret that the source names.
    pub(crate) secret: SecretSeen,
    /// The Secret with the signer's public key.
    pub(crate) signature_key: SecretSeen,
    /// The Secret with the key of the weights.
    pub(crate) encryption_key: SecretSeen,
    /// What the pod told when it was last asked.
    pub(crate) progress: Option<FetchStatus>,
    /// Why the volume, the Job or the pod hangs.
    pub(crate) warnings: Warnings,
}

/// A Secret, as far as it concerns a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum SecretSeen {
    /// The source names none.
    #[default]
    NotNamed,
    /// It does not exist.
    Missing,
    /// It exists.
    Found(SecretKeys),
}

impl SecretSeen {
    /// Changes with every write of one that is there.
    pub(crate) fn version(&self) -> Option<&str> {
        match self {
            Self::Found(secret) => Some(&secret.version),
            Self::NotNamed | Self::Missing => None,
        }
    }
}

/// The newest Event of something that hangs; `None`: it does not hang, or nobody says why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Warnings {
    pub(crate) claim: Option<Warning>,
    pub(crate) job: Option<Warning>,
    pub(crate) pod: Option<Warning>,
}

/// An Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Reads what the pass needs, nearly all of it from the caches.
pub(super) async fn observe(ctx: &Context, state: &State, model: &LlmModel) -> Result<Observed, Error> {
    let meta = &model.metadata;
    let (namespace, name) = (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
    let at = |name: String| Key::new(namespace.clone(), name);
    let now = ctx.clock.now();
    let job: Option<(Job, String)> = found(ctx, model, &at(job_name(&name, &id(&model.spec)))).await?;
    let pod = match &job {
        Some((_, uid)) => newest_pod(ctx, &at(name.clone()), uid)?,
        None => None,
    };
    let own_claim = found::<PersistentVolumeClaim>(ctx, model, &at(claim_name(&name))).await?.map(|(claim, _)| claim);
    let claim = match &model.spec.source.persistent_volume_claim {
        Some(source) => named_claim(ctx, &at(source.claim_name.clone())).await?,
        None => own_claim.clone(),
    };
    let (job, _) = job.unzip();
    let spec = &model.spec;
    let seen = async |name: Option<&String>| secret(ctx, name, &namespace, job.as_ref()).await;
    let signer = spec.signature.as_ref().and_then(|signature| signature.public_key_secret_name.as_ref());
    let key = spec.encryption.as_ref().map(|encryption| &encryption.key_secret_name);
    let (secret, signature_key, encryption_key) =
        (seen(source_secret(spec)).await?, seen(signer).await?, seen(key).await?);
    let uid = meta.uid.clone().unwrap_or_default();
    Ok(Observed {
        warnings: warnings(ctx, &namespace, claim.as_ref(), job.as_ref(), pod.as_ref(), now).await,
        progress: pod.as_ref().and_then(|pod| state.progress.of(pod.metadata.uid.as_deref()?)),
        recorded: state.recorded.of(&uid).or_else(|| recorded_on_policy(ctx, &at(super::build::fetch_name(&name)))),
        claim,
        own_claim,
        job,
        pod,
        secret,
        signature_key,
        encryption_key,
    })
}

/// The object and its uid. One that a pass has made before and that the store lacks may have lost its label only.
async fn found<K: Kind>(ctx: &Context, model: &LlmModel, key: &Key) -> Result<Option<(K, String)>, Error> {
    let was_made = model.status.as_ref().is_some_and(|status| status.claim_name.is_some());
    let cached = match K::store(&ctx.stores).get(key) {
        Some(cached) => Some(cached),
        None if was_made => lookup::find(ctx, key).await.map_err(|source| Error::LookUp {
            kind: K::kind(&()).into_owned(),
            key: key.clone(),
            source: Box::new(source),
        })?,
        None => None,
    };
    let Some(cached) = cached else { return Ok(None) };
    read(&cached, key).map(|object| Some((object, cached.uid().to_owned())))
}

fn read<K: Kind>(cached: &Cached<K>, key: &Key) -> Result<K, Error> {
    let parsed = cached.parse();
    parsed.map_err(|source| Error::ReadCached { kind: K::kind(&()).into_owned(), key: key.clone(), source })
}

fn newest_pod(ctx: &Context, model: &Key, job_uid: &str) -> Result<Option<Pod>, Error> {
    let owner = OwnerKey { kind: OwnerKind::Model, key: model.clone() };
    let mut newest: Option<Pod> = None;
    for (key, cached) in ctx.stores.pods.of_owner(&owner) {
        if cached.controller_uid() != Some(job_uid) {
            continue;
        }
        let pod = read(&cached, &key)?;
        if newest.as_ref().is_none_or(|newest| newest.metadata.creation_timestamp < pod.metadata.creation_timestamp) {
            newest = Some(pod);
        }
    }
    Ok(newest)
}

/// Somebody's claim does not carry our label, so no watch sees it.
async fn named_claim(ctx: &Context, key: &Key) -> Result<Option<PersistentVolumeClaim>, Error> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let kind = "PersistentVolumeClaim".to_owned();
    api.get_opt(&key.name).await.map_err(|source| Error::LookUp { kind, key: key.clone(), source: Box::new(source) })
}

fn source_secret(spec: &LlmModelSpec) -> Option<&String> {
    let hub = spec.source.hugging_face.as_ref().and_then(|hub| hub.token_secret_name.as_ref());
    hub.or_else(|| spec.source.http.as_ref().and_then(|http| http.auth_secret_name.as_ref()))
}

/// Read anew where a change of it can matter: before the first attempt and after a failed one.
async fn secret(ctx: &Context, name: Option<&String>, namespace: &str, job: Option<&Job>) -> Result<SecretSeen, Error> {
    let Some(name) = name else { return Ok(SecretSeen::NotNamed) };
    let in_need = job.is_none_or(|job| super::cause::has_failed(job).is_some());
    let found = ctx.secrets.keys(&Key::new(namespace, name), in_need).await;
    let found = found.map_err(|source| Error::ReadSecret { source })?;
    Ok(found.map_or(SecretSeen::Missing, SecretSeen::Found))
}

fn recorded_on_policy(ctx: &Context, key: &Key) -> Option<Recorded> {
    let policy = ctx.stores.network_policies.get(key)?.parse().ok()?;
    Recorded::read(policy.metadata.annotations.as_ref()?)
}

async fn warnings(
    ctx: &Context,
    namespace: &str,
    claim: Option<&PersistentVolumeClaim>,
    job: Option<&Job>,
    pod: Option<&Pod>,
    now: Timestamp,
) -> Warnings {
    let mut warnings = Warnings::default();
    // A pod that finds no node may wait for the volume.
    let in_need = pod.is_some_and(super::cause::is_unscheduled);
    if let Some(claim) = claim.filter(|claim| super::cause::is_pending(claim) && (in_need || is_older(*claim, now))) {
        warnings.claim = warning(ctx, namespace, claim.metadata.uid.as_deref()).await;
    }
    if let Some(job) = job.filter(|job| pod.is_none() && super::cause::is_running(job) && is_older(*job, now)) {
        warnings.job = warning(ctx, namespace, job.metadata.uid.as_deref()).await;
    }
    if let Some(pod) = pod.filter(|pod| super::cause::is_being_created(pod) && is_older(*pod, now)) {
        warnings.pod = warning(ctx, namespace, pod.metadata.uid.as_deref()).await;
    }
    warnings
}

fn is_older<K: Resource>(object: &K, now: Timestamp) -> bool {
    let created = object.meta().creation_timestamp.as_ref();
    created.is_some_and(|Time(created)| now.duration_since(*created) >= HANGS_AFTER)
}

/// The newest Event about an object, warnings first. Events are a help, not a truth: none, or no right to read, is fine.
async fn warning(ctx: &Context, namespace: &str, uid: Option<&str>) -> Option<Warning> {
    let api: Api<Event> = Api::namespaced(ctx.client.clone(), namespace);
    let params = ListParams::default().fields(&format!("involvedObject.uid={}", uid?)).limit(50);
    let events = match api.list(&params).await {
        Ok(events) => events.items,
        Err(failure) => {
            debug!(error = %failure, "failed to list Events");
            return None;
        }
    };
    let moment = |event: &Event| {
        let seen = event.last_timestamp.as_ref().map(|time| time.0);
        let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        seen.max(series).max(event.event_time.as_ref().map(|time| time.0))
    };
    let last = events.into_iter().max_by_key(|event| (event.type_.as_deref() == Some("Warning"), moment(event)))?;
    Some(Warning { reason: last.reason.unwrap_or_default(), message: last.message.unwrap_or_default() })
}
