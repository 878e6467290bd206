//! Reads from Job, pod, claim and their Events how things stand, in the closed set of reasons. Pure.

use alcazar_crds::reasons::ModelReason as Reason;
use k8s_openapi::api::core::v1::{ContainerStatus, PersistentVolumeClaim, Pod, PodCondition};

use super::observe::{Observed, Warning};
use crate::telemetry::api_errors;

mod outcome;
#[cfg(test)]
mod tests;

pub(crate) use outcome::{Outcome, Retry, has_failed, is_running, outcome};

/// Something that keeps the model from getting ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) reason: Reason,
    /// What was found and what to do.
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Whether nothing gets better without a change by somebody.
    pub(crate) fn is_stalled(&self) -> bool {
        match self.reason {
            Reason::InvalidSpec
            | Reason::NameConflict
            | Reason::SecretMissing
            | Reason::SecretInvalid
            | Reason::ClaimMissing
            | Reason::ClaimLost
            | Reason::StorageClassMissing
            | Reason::DigestRequired
            | Reason::SignatureRequired
            | Reason::EncryptionRequired
            | Reason::StorageClassNotAllowed
            | Reason::KeyMissing
            | Reason::KeyInvalid
            | Reason::SignatureMissing
            | Reason::SignatureInvalid
            | Reason::QuotaExceeded
            | Reason::ResizeFailed
            | Reason::SourceUnauthorized
            | Reason::SourceForbidden
            | Reason::SourceNotFound
            | Reason::SourceNotAllowed
            | Reason::DigestMismatch
            | Reason::InvalidModel
            | Reason::UnsupportedModel
            | Reason::VolumeFull
            | Reason::InvalidSource => true,
            Reason::Accepted
            | Reason::Pending
            | Reason::VolumeBound
            | Reason::WaitingForConsumer
            | Reason::Fetching
            | Reason::Verifying
            | Reason::Sealed
            | Reason::Deleting
            | Reason::ClaimPending
            | Reason::PodRefused
            | Reason::Unschedulable
            | Reason::ImagePullFailed
            | Reason::MountFailed
            | Reason::OutOfMemory
            | Reason::Evicted
            | Reason::FetchCrashed
            | Reason::SourceNotResolved
            | Reason::SourceUnreachable
            | Reason::VolumeFailed => false,
        }
    }
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

/// Whether the scheduler is done with it and its container has not begun.
pub(crate) fn is_being_created(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Pending") && waiting(pod).is_none_or(|(reason, _)| reason == "ContainerCreating")
}

fn waiting(pod: &Pod) -> Option<(&str, &str)> {
    let waiting = container(pod)?.state.as_ref()?.waiting.as_ref()?;
    Some((waiting.reason.as_deref()?, waiting.message.as_deref().unwrap_or_default()))
}

/// Whether the claim waits for a volume.
pub(crate) fn is_pending(claim: &PersistentVolumeClaim) -> bool {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    phase.is_none_or(|phase| phase == "Pending")
}

/// Why the claim is not bound; `Ok`: it is, or it waits for its first pod.
pub(crate) fn of_claim(observed: &Observed) -> Result<Reason, Trouble> {
    let Some(claim) = &observed.claim else { return Ok(Reason::Pending) };
    let name = claim.metadata.name.as_deref().unwrap_or_default();
    match claim.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Bound") => resize(claim),
        Some("Lost") => Err(Trouble::new(
            Reason::ClaimLost,
            format!("claim {name} has lost its volume; restore it, or delete the model and make it anew"),
        )),
        _ => match &observed.warnings.claim {
            None => Ok(Reason::Pending),
            Some(event) => pending_claim(claim, name, event),
        },
    }
}

fn pending_claim(claim: &PersistentVolumeClaim, name: &str, event: &Warning) -> Result<Reason, Trouble> {
    let Warning { reason, message } = event;
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()).unwrap_or_default();
    match reason.as_str() {
        "WaitForFirstConsumer" | "WaitForPodScheduled" => Ok(Reason::WaitingForConsumer),
        _ if message.contains("no storage class is set") => Err(Trouble::new(
            Reason::StorageClassMissing,
            format!(
                "claim {name} names no StorageClass and the cluster has no default one; mark one as default or set storage.storageClassName"
            ),
        )),
        _ if message.contains("storageclass") && message.contains("not found") => Err(Trouble::new(
            Reason::StorageClassMissing,
            format!(
                "StorageClass '{class}' of claim {name} does not exist; create it, or make the model with another storage.storageClassName"
            ),
        )),
        _ if api_errors::is_quota(message) => Err(Trouble::new(Reason::QuotaExceeded, message.clone())),
        _ => Err(Trouble::new(Reason::ClaimPending, format!("claim {name} waits for a volume: {reason}: {message}"))),
    }
}

fn resize(claim: &PersistentVolumeClaim) -> Result<Reason, Trouble> {
    let conditions = claim.status.as_ref().and_then(|status| status.conditions.as_ref());
    let failed = conditions.into_iter().flatten().find(|condition| {
        condition.status == "True" && matches!(condition.type_.as_str(), "ControllerResizeError" | "NodeResizeError")
    });
    match failed {
        Some(failed) => {
            let said = failed.message.as_deref().unwrap_or_default();
            Err(Trouble::new(Reason::ResizeFailed, format!("the volume could not be grown: {said}")))
        }
        None => Ok(Reason::VolumeBound),
    }
}

/// What keeps a Job that has not ended from going on; `None`: nothing does.
pub(crate) fn of_running(observed: &Observed) -> Option<Trouble> {
    let Some(pod) = &observed.pod else { return observed.warnings.job.as_ref().and_then(no_pod) };
    if let Some(refused) = unschedulable(pod) {
        // A claim that cannot be bound is the cause, the scheduler's words only the effect.
        return Some(of_claim(observed).err().unwrap_or(refused));
    }
    match waiting(pod) {
        Some((reason, said)) => waits(reason, said).or_else(|| observed.warnings.pod.as_ref().and_then(mounting)),
        None => observed.warnings.pod.as_ref().and_then(mounting),
    }
}

fn no_pod(event: &Warning) -> Option<Trouble> {
    let Warning { reason, message } = event;
    if reason != "FailedCreate" {
        return None;
    }
    if api_errors::is_quota(message) {
        let mend = "free or raise the quota; the Job goes on by itself";
        return Some(Trouble::new(Reason::QuotaExceeded, format!("the pod of the Job was refused: {message}; {mend}")));
    }
    Some(Trouble::new(Reason::PodRefused, format!("the pod of the Job was refused: {message}")))
}

/// Whether the scheduler has found no node for it.
pub(crate) fn is_unscheduled(pod: &Pod) -> bool {
    unschedulable(pod).is_some()
}

fn unschedulable(pod: &Pod) -> Option<Trouble> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let refused = |c: &&PodCondition| {
        c.type_ == "PodScheduled" && c.status == "False" && c.reason.as_deref() == Some("Unschedulable")
    };
    let said = conditions.iter().find(refused)?.message.as_deref().unwrap_or("no node fits");
    Some(Trouble::new(Reason::Unschedulable, format!("no node can run the pod of the Job: {said}")))
}

fn waits(reason: &str, said: &str) -> Option<Trouble> {
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable" => Some(Trouble::new(
            Reason::ImagePullFailed,
            format!("the runtime's image cannot be pulled ({reason}): {said}"),
        )),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(Trouble::new(Reason::MountFailed, format!("the container cannot be made ({reason}): {said}")))
        }
        _ => None,
    }
}

fn mounting(event: &Warning) -> Option<Trouble> {
    let Warning { reason, message } = event;
    match reason.as_str() {
        // Secrets are looked for before; nothing of ours else is mounted from a ConfigMap.
        "FailedMount" if message.contains("configmap") && message.contains("not found") => Some(Trouble::new(
            Reason::KeyMissing,
            format!(
                "{message}; create the ConfigMap that spec.signature.certificateConfigMapName names, with the key ca.pem"
            ),
        )),
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => {
            Some(Trouble::new(Reason::MountFailed, format!("the volume or a Secret could not be mounted: {message}")))
        }
        "FailedCreatePodSandBox" => {
            Some(Trouble::new(Reason::PodRefused, format!("the node cannot set up the pod: {message}")))
        }
        _ => None,
    }
}
