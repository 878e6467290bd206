//! How a Job ended, from its conditions and its pod's last words. Pure.

use alcazar_contract::report::{FetchFailure, FetchReason, ModelFacts, Report};
use alcazar_crds::reasons::ModelReason as Reason;
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::{ContainerStateTerminated, Pod},
};

use super::{Trouble, container};
use crate::bounds;

/// How a Job stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It has not ended.
    Running,
    /// It sealed or verified the files.
    Sealed(ModelFacts),
    /// It says that it succeeded, but its pod is gone and with it what it said.
    Unknown,
    /// It failed.
    Failed {
        /// What it said, or how its container ended.
        trouble: Trouble,
        /// When.
        at: Option<Timestamp>,
        /// Whether trying again without a change can help.
        retry: Retry,
    },
}

/// When to try again after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Soon, later each time.
    Soon,
    /// Now and then: somebody may have made room.
    Slowly,
    /// Only after a change of the spec, the Secret or the runtime.
    AfterChange,
}

/// How the Job stands, from its conditions and its pod's last words.
pub(crate) fn outcome(job: &Job, pod: Option<&Pod>) -> Outcome {
    let when = |condition: &JobCondition| condition.last_transition_time.as_ref().map(|time| time.0);
    if let Some(complete) = condition(job, "Complete") {
        return match pod.and_then(report) {
            Some(Report::Sealed(facts)) if bounds::digest(&facts.digest).is_some() => Outcome::Sealed(facts),
            Some(Report::Sealed(_)) => {
                Outcome::Failed { trouble: sealed_without_digest(), at: when(complete), retry: Retry::Soon }
            }
            Some(Report::Failed(_)) | None => Outcome::Unknown,
        };
    }
    let Some(failed) = has_failed(job) else { return Outcome::Running };
    let at = when(failed);
    match pod.and_then(report) {
        Some(Report::Failed(FetchFailure { reason, message })) => {
            Outcome::Failed { trouble: Trouble::new(shown(reason), message), at, retry: retry(reason) }
        }
        Some(Report::Sealed(_)) | None => {
            Outcome::Failed { trouble: ended_without_report(pod, failed), at, retry: Retry::Soon }
        }
    }
}

pub(super) fn shown(reason: FetchReason) -> Reason {
    Reason::from_name(reason.as_str()).unwrap_or(Reason::FetchCrashed)
}

pub(super) fn retry(reason: FetchReason) -> Retry {
    match reason {
        FetchReason::VolumeFull => Retry::Slowly,
        reason if reason.is_transient() => Retry::Soon,
        _ => Retry::AfterChange,
    }
}

/// The failed condition, if it failed.
pub(crate) fn has_failed(job: &Job) -> Option<&JobCondition> {
    condition(job, "Failed")
}

/// Whether it has not ended.
pub(crate) fn is_running(job: &Job) -> bool {
    condition(job, "Complete").is_none() && has_failed(job).is_none()
}

fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container(pod)?.state.as_ref()?.terminated.as_ref()
}

fn report(pod: &Pod) -> Option<Report> {
    serde_json::from_str(terminated(pod)?.message.as_ref()?).ok()
}

/// Never the words themselves: they would go on into names and mounts.
fn sealed_without_digest() -> Trouble {
    let found = "the container says that it sealed the model and names no digest of it";
    Trouble::new(Reason::FetchCrashed, format!("{found}: expected sha256: and 64 hex digits; another attempt follows"))
}

fn ended_without_report(pod: Option<&Pod>, failed: &JobCondition) -> Trouble {
    let status = pod.and_then(|pod| pod.status.as_ref());
    if let Some(reason @ ("Evicted" | "NodeLost" | "Preempting" | "Terminated")) =
        status.and_then(|s| s.reason.as_deref())
    {
        let said = status.and_then(|status| status.message.as_deref()).unwrap_or_default();
        return Trouble::new(
            Reason::Evicted,
            format!("the pod was stopped by its node ({reason}): {said}; another attempt follows"),
        );
    }
    match pod.and_then(terminated) {
        Some(ended) if ended.reason.as_deref() == Some("OOMKilled") => Trouble::new(
            Reason::OutOfMemory,
            "the pod was killed because it used more memory than its limit; another attempt follows",
        ),
        Some(ended) => {
            let words = ended.message.as_deref().map(str::trim).filter(|words| !words.is_empty());
            Trouble::new(
                Reason::FetchCrashed,
                format!(
                    "the container ended with exit code {}: {}; another attempt follows",
                    ended.exit_code,
                    words.unwrap_or("it left no message, see the pod's log")
                ),
            )
        }
        None => {
            let said = failed.message.as_deref().unwrap_or("without a message");
            Trouble::new(Reason::FetchCrashed, format!("the Job failed: {said}; another attempt follows"))
        }
    }
}
