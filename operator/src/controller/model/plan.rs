//! What a pass is to do: begin an attempt, let one run, wait, or rest. Pure: the clock is passed in.

use std::time::Duration;

use alcazar_contract::report::{EncryptionFacts, ModelFacts, SignatureFacts};
use alcazar_crds::{llm_model::LlmModel, reasons::ModelReason as Reason};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;

use super::{
    build::Recorded,
    cause::{self, Outcome, Retry, Trouble},
    observe::reach::{Reach, Unreachable},
    observe::{Observed, SecretSeen},
    validate::{SignedBy, SourceSecret, ValidatedModel, Work, claim_name, class_trouble},
};
use crate::{children::ATTEMPT, compare, conditions, runner::Action};

#[cfg(test)]
mod tests;

/// Of a wait for something of which no watch tells (a Secret, an Event, a name, somebody's claim).
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// First wait after a failure that may pass, and longest one.
const SOON: (i64, i64) = (5, 300);
/// The same where somebody may have made room.
const SLOWLY: (i64, i64) = (30, 300);

/// What comes next for the files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// They are sealed, as the spec wants them.
    Rest(ModelFacts),
    /// The Job works on it.
    Run,
    /// Nothing can be done now.
    Wait(Trouble, Duration),
    /// A Job is to be made.
    Begin(Attempt),
}

/// Names an attempt: a hash over what a failure may depend on, and a count. Another value makes another Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    inputs: String,
    count: u32,
}

impl Attempt {
    /// As the Job's annotation has it.
    pub(crate) fn text(&self) -> String {
        format!("{}.{}", self.inputs, self.count)
    }

    fn of(job: &Job) -> Option<Self> {
        let text = job.metadata.annotations.as_ref()?.get(ATTEMPT)?;
        let (inputs, count) = text.split_once('.')?;
        Some(Self { inputs: inputs.to_owned(), count: count.parse().ok()? })
    }

    /// The one after `last`; the count starts anew when the inputs changed.
    fn after(last: Option<Self>, inputs: &str) -> Self {
        let count = last.filter(|last| last.inputs == inputs).map_or(0, |last| last.count);
        Self { inputs: inputs.to_owned(), count: count.saturating_add(1) }
    }
}

/// What a pass is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// For the status.
    pub(crate) stage: Stage,
    /// The Job that is to be there.
    pub(crate) job: Option<String>,
    /// Goes into the firewall and beside it.
    pub(crate) recorded: Recorded,
    /// Whether a volume of ours stays although the source is somebody's claim now: its files still serve.
    pub(crate) keeps_claim: bool,
    look_again: Option<Duration>,
}

impl Plan {
    /// For the runner.
    pub(crate) fn action(&self) -> Action {
        self.look_again.map_or_else(Action::await_change, Action::requeue_after)
    }
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Done.
    Sealed(ModelFacts),
    /// A Job is under way.
    Working,
    /// Something keeps it from going on.
    Held(Trouble),
}

/// What comes next, from how the Job of this spec stands and what was sealed before.
pub(crate) fn next(model: &LlmModel, valid: &ValidatedModel, observed: &Observed, image: &str, now: Timestamp) -> Next {
    let inputs = inputs(valid, observed, image);
    if let Work::Verify { claim_name, .. } = &valid.work
        && observed.claim.is_none()
    {
        let fault = format!(
            "there is no claim {claim_name} in this namespace; create it or correct source.persistentVolumeClaim.claimName"
        );
        return Next::Wait(Trouble::new(Reason::ClaimMissing, fault), LOOK_AGAIN);
    }
    if let (Work::Verify { .. }, Some(claim)) = (&valid.work, &observed.claim) {
        let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
        if let Some(fault) = class_trouble(class, &valid.allowed_classes) {
            return Next::Wait(Trouble::new(Reason::StorageClassNotAllowed, fault), LOOK_AGAIN);
        }
    }
    let Some(job) = &observed.job else {
        return match remembered(model, valid, observed) {
            Some(facts) => Next::Rest(facts),
            None => begin(None, &inputs, valid, observed),
        };
    };
    let last = Attempt::of(job);
    match cause::outcome(job, observed.pod.as_ref()) {
        Outcome::Running => Next::Run,
        Outcome::Sealed(facts) if holds(observed, job.metadata.creation_timestamp.as_ref().map(|time| time.0)) => {
            Next::Rest(facts)
        }
        Outcome::Unknown if let Some(facts) = remembered(model, valid, observed) => Next::Rest(facts),
        Outcome::Sealed(_) | Outcome::Unknown => begin(last, &inputs, valid, observed),
        Outcome::Failed { trouble, at, retry } => {
            let unchanged = last.as_ref().is_some_and(|last| last.inputs == inputs);
            let count = last.as_ref().map_or(1, |last| last.count);
            match pause(retry, count, at, now).filter(|_| unchanged) {
                Some(pause) => Next::Wait(trouble, pause),
                None => begin(last, &inputs, valid, observed),
            }
        }
    }
}

/// Everything that a failure may depend on and that somebody may mend.
fn inputs(valid: &ValidatedModel, observed: &Observed, image: &str) -> String {
    let secret = observed.secret.version().unwrap_or_default();
    let mut all = vec![serde_json::json!(valid.generation), serde_json::json!(secret), serde_json::json!(image)];
    let keys = [&observed.signature_key, &observed.encryption_key];
    all.extend(keys.into_iter().filter_map(SecretSeen::version).map(|version| serde_json::json!(version)));
    let mut text = compare::hash(&serde_json::json!(all));
    text.truncate(8);
    text
}

/// How long to wait for the next attempt; `None`: now.
fn pause(retry: Retry, count: u32, failed_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let (first, longest) = match retry {
        Retry::Soon => SOON,
        Retry::Slowly => SLOWLY,
        // A change of the Secret shows only when it is looked for.
        Retry::AfterChange => return Some(LOOK_AGAIN),
    };
    let seconds = first.saturating_mul(1 << count.saturating_sub(1).min(16)).min(longest);
    let due = failed_at?.checked_add(SignedDuration::from_secs(seconds)).ok()?;
    let left = due.duration_since(now);
    if left.is_positive() { Duration::try_from(left).ok() } else { None }
}

fn begin(last: Option<Attempt>, inputs: &str, valid: &ValidatedModel, observed: &Observed) -> Next {
    match secret_trouble(valid, observed).or_else(|| key_trouble(valid, observed)) {
        Some(trouble) => Next::Wait(trouble, LOOK_AGAIN),
        None => Next::Begin(Attempt::after(last, inputs)),
    }
}

fn secret_trouble(valid: &ValidatedModel, observed: &Observed) -> Option<Trouble> {
    let Work::Fetch { secret: Some(secret), .. } = &valid.work else { return None };
    lacking(secret, &observed.secret, (Reason::SecretMissing, Reason::SecretInvalid))
}

fn key_trouble(valid: &ValidatedModel, observed: &Observed) -> Option<Trouble> {
    let reasons = (Reason::KeyMissing, Reason::KeyInvalid);
    let signer = match &valid.protection.signature {
        Some(SignedBy::Key(secret)) => lacking(secret, &observed.signature_key, reasons),
        // The kubelet tells of a ConfigMap that is missing.
        Some(SignedBy::Roots(_)) | None => None,
    };
    let key = || lacking(valid.protection.encryption.as_ref()?, &observed.encryption_key, reasons);
    signer.or_else(key)
}

/// What a Secret lacks; `missing` and `invalid` are the reasons.
fn lacking(secret: &SourceSecret, seen: &SecretSeen, (missing, invalid): (Reason, Reason)) -> Option<Trouble> {
    let name = &secret.name;
    let alternatives = || secret.keys.iter().map(|keys| keys.join(" and ")).collect::<Vec<_>>().join(", or ");
    match seen {
        SecretSeen::Found(found) if secret.keys.iter().any(|keys| keys.iter().all(|key| found.keys.contains(*key))) => {
            None
        }
        SecretSeen::Found(_) => {
            let fault = format!("Secret {name} lacks the key {}; add it", alternatives());
            Some(Trouble::new(invalid, fault))
        }
        SecretSeen::Missing | SecretSeen::NotNamed => {
            let fault =
                format!("there is no Secret {name} in this namespace; create it with the key {}", alternatives());
            Some(Trouble::new(missing, fault))
        }
    }
}

/// What the status says was sealed, if that is what the spec asks for and the volume is the same.
fn remembered(model: &LlmModel, valid: &ValidatedModel, observed: &Observed) -> Option<ModelFacts> {
    let status = model.status.as_ref()?;
    let sealed = conditions::find(&status.conditions, "Sealed").filter(|sealed| sealed.status == "True")?;
    let same_spec = sealed.observed_generation == Some(valid.generation)
        || observed.recorded.as_ref().is_some_and(|recorded| recorded.id == valid.id);
    let claim = match &valid.work {
        Work::Fetch { .. } => claim_name(&valid.owner.name),
        Work::Verify { claim_name, .. } => claim_name.clone(),
    };
    let same_claim = status.claim_name.as_deref() == Some(claim.as_str());
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
    (same_spec && same_claim && holds(observed, Some(sealed.last_transition_time.0))).then(|| ModelFacts {
        digest: status.digest.clone().unwrap_or_default(),
        path: String::new(),
        size_bytes: count(status.size_bytes),
        format: status.format.clone().unwrap_or_default(),
        architecture: status.architecture.clone().unwrap_or_default(),
        parameter_count: count(status.parameter_count),
        context_length: count(status.context_length),
        signature: status
            .signature
            .as_ref()
            .map(|seen| SignatureFacts { key_id: seen.key_id.clone(), subject: seen.subject.clone() }),
        encryption: status.encryption.as_ref().map(|seen| EncryptionFacts { recipient: seen.recipient.clone() }),
    })
}

/// Whether the volume is still the one on which something was sealed at `since`: a claim made later is empty.
fn holds(observed: &Observed, since: Option<Timestamp>) -> bool {
    let made = observed.claim.as_ref().and_then(|claim| claim.metadata.creation_timestamp.as_ref());
    // Made by one pass, in this order, by clocks that tell whole seconds.
    let slack = SignedDuration::from_secs(2);
    matches!((made, since), (Some(made), Some(since)) if made.0.duration_since(since) <= slack)
}

/// The plan for what comes next; `reach` was looked up for an attempt that begins.
pub(crate) fn plan(
    valid: &ValidatedModel,
    model: &LlmModel,
    observed: &Observed,
    next: Next,
    reach: Option<Result<Reach, Unreachable>>,
) -> Plan {
    let known = observed.recorded.clone().filter(|recorded| recorded.id == valid.id);
    let recorded = known.unwrap_or_else(|| Recorded { id: valid.id.clone(), reach: Reach::default() });
    let kept = observed.job.as_ref().and_then(Attempt::of).map(|attempt| attempt.text());
    let keeps_claim = keeps_claim(valid, model, &next);
    let plan = |stage, job, look_again| Plan { stage, job, recorded: recorded.clone(), keeps_claim, look_again };
    match next {
        Next::Rest(facts) => plan(Stage::Sealed(facts), kept, None),
        Next::Wait(trouble, pause) => plan(Stage::Held(trouble), kept, Some(pause)),
        Next::Run => plan(Stage::Working, kept, (!is_fetching(observed)).then_some(LOOK_AGAIN)),
        Next::Begin(attempt) => match reach {
            Some(Err(Unreachable { reason, message })) => {
                plan(Stage::Held(Trouble::new(reason, message)), kept, Some(LOOK_AGAIN))
            }
            Some(Ok(reach)) => Plan {
                recorded: Recorded { id: valid.id.clone(), reach },
                ..plan(Stage::Working, Some(attempt.text()), Some(LOOK_AGAIN))
            },
            None => plan(Stage::Working, Some(attempt.text()), Some(LOOK_AGAIN)),
        },
    }
}

/// Once its container runs, the pod itself tells how it goes.
pub(crate) fn is_fetching(observed: &Observed) -> bool {
    let phase = observed.pod.as_ref().and_then(|pod| pod.status.as_ref()).and_then(|status| status.phase.as_deref());
    phase == Some("Running")
}

fn keeps_claim(valid: &ValidatedModel, model: &LlmModel, next: &Next) -> bool {
    let sealed_on =
        model.status.as_ref().filter(|status| status.digest.is_some()).and_then(|status| status.claim_name.as_deref());
    matches!(valid.work, Work::Verify { .. })
        && !matches!(next, Next::Rest(_))
        && sealed_on == Some(claim_name(&valid.owner.name).as_str())
}
