//! Why a pod does not serve: from its own status, its last words, and what it tells. Pure.

use alcazar_crds::reasons::DeploymentReason as Reason;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PodStatus};

use super::{
    cause::{Cause, quote},
    scheduling, words,
};
use crate::controller::deployment::{
    observe::ObservedPod,
    reports::{Report, is_ready},
};

/// Restarts from which on a crash counts as one that does not mend itself.
const RESTARTS: i32 = 2;

/// Why this pod does not serve; none when it does, or is on its way out.
pub(crate) fn cause(observed: &ObservedPod) -> Option<Cause> {
    let meta = &observed.pod.metadata;
    if meta.deletion_timestamp.is_some() || is_ready(&observed.pod) {
        return None;
    }
    let pod = Subject { name: meta.name.as_deref().unwrap_or("?"), observed };
    let Some(status) = &observed.pod.status else { return Some(pending()) };
    Some(pod.judge(status))
}

struct Subject<'a> {
    name: &'a str,
    observed: &'a ObservedPod,
}

impl Subject<'_> {
    fn judge(&self, status: &PodStatus) -> Cause {
        if status.phase.as_deref() == Some("Failed") || status.reason.as_deref() == Some("NodeLost") {
            return self.failed(status);
        }
        if let Some(cause) = scheduling::cause(status) {
            return cause;
        }
        match status.container_statuses.iter().flatten().next() {
            Some(container) => self.container(container),
            None => self.not_begun(),
        }
    }

    /// The node gave the pod up; its ReplicaSet makes another one.
    fn failed(&self, status: &PodStatus) -> Cause {
        let reason = status.reason.as_deref().unwrap_or("Failed");
        let words = quote(status.message.as_deref().unwrap_or("no further words"));
        let name = self.name;
        if reason == "UnexpectedAdmissionError" {
            let message = format!("the node of pod {name} has no usable device: {words}; look at its device plugin");
            return Cause::waits(Reason::DeviceUnavailable, message);
        }
        Cause::waits(
            Reason::Evicted,
            format!("pod {name} was given up by its node ({reason}: {words}); another one follows"),
        )
    }

    fn container(&self, container: &ContainerStatus) -> Cause {
        let state = container.state.clone().unwrap_or_default();
        let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
        if container.ready && state.running.is_some() {
            return self.unheard();
        }
        if let Some(waiting) = &state.waiting {
            let reason = waiting.reason.as_deref().unwrap_or_default();
            return self.waiting(reason, waiting.message.as_deref().unwrap_or_default(), last);
        }
        let ended = state.terminated.as_ref().or(last).filter(|ended| ended.exit_code != 0);
        if let Some(ended) = ended {
            let cause = self.crash(ended);
            let again = container.restart_count >= RESTARTS;
            return if again { cause } else { Cause::waits(cause.reason, cause.message) };
        }
        self.running(container.started == Some(true))
    }

    fn waiting(&self, reason: &str, message: &str, last: Option<&ContainerStateTerminated>) -> Cause {
        let (name, said) = (self.name, quote(message));
        match reason {
            "ErrImagePull" | "ImagePullBackOff" | "ImageInspectError" | "RegistryUnavailable" => Cause::waits(
                Reason::ImagePullFailed,
                format!(
                    "the image of pod {name} cannot be pulled: {said}; correct the image or imagePullSecretNames in the operator's settings"
                ),
            ),
            "InvalidImageName" | "ErrImageNeverPull" => Cause::stalls(
                Reason::ImagePullFailed,
                format!(
                    "the image of pod {name} cannot be used: {said}; correct runtimeImage in the operator's settings, or bring the image to the node"
                ),
            ),
            "CrashLoopBackOff" => match last {
                Some(ended) => self.crash(ended),
                None => Cause::stalls(Reason::CrashLoop, format!("pod {name} ends again and again: {said}")),
            },
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" | "StartError" => {
                Cause::stalls(Reason::CrashLoop, format!("the container of pod {name} cannot be started: {said}"))
            }
            _ => self.not_begun(),
        }
    }

    /// The container is ready and the pod is not: Kubernetes says so of all pods of a node that does not report.
    fn unheard(&self) -> Cause {
        let node = self.observed.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("?");
        let name = self.name;
        Cause::waits(
            Reason::Evicted,
            format!(
                "node {node} does not report, so pod {name} gets no requests; another pod follows when the node is given up"
            ),
        )
    }

    /// On a node, and no container runs yet.
    fn not_begun(&self) -> Cause {
        let Some(warning) = &self.observed.warning else { return pending() };
        let (name, words) = (self.name, quote(warning));
        if warning.contains("Multi-Attach") {
            let mend = "use storage.accessModes: [ReadWriteMany], or keep the pods on one node with spec.resources.nodeSelector";
            let message = format!("the weights cannot be attached to the node of pod {name}: {words}; {mend}");
            return Cause::waits(Reason::VolumeNotShared, message);
        }
        if ["FailedMount", "FailedAttachVolume", "FailedMapVolume"].iter().any(|reason| warning.starts_with(reason)) {
            return Cause::waits(Reason::MountFailed, format!("a volume of pod {name} cannot be mounted: {words}"));
        }
        Cause::waits(Reason::Pending, format!("pod {name} has not begun: {words}"))
    }

    fn crash(&self, ended: &ContainerStateTerminated) -> Cause {
        let name = self.name;
        if ended.reason.as_deref() == Some("OOMKilled") {
            let mend = "make spec.resources.memory larger, or spec.runtime.contextLength or maxSequences smaller";
            return Cause::stalls(
                Reason::OutOfMemory,
                format!("pod {name} was killed: it used more memory than its limit; {mend}"),
            );
        }
        let words = words::last_words(ended.message.as_deref().unwrap_or_default());
        let reason = words.reason.unwrap_or(Reason::CrashLoop);
        let code = ended.exit_code;
        let message = match words.text {
            Some(text) => format!("pod {name} ended with exit code {code}: {text}"),
            None => {
                format!("pod {name} ended with exit code {code} without a word; see kubectl logs {name} --previous")
            }
        };
        Cause::stalls(reason, message)
    }

    /// Its process runs and does not serve.
    fn running(&self, has_served: bool) -> Cause {
        let name = self.name;
        match &self.observed.report {
            Report::Told(told) if !told.ready => {
                let text = quote(&told.message);
                match words::reason(&told.reason) {
                    Some(reason) => Cause::stalls(reason, format!("pod {name}: {text}")),
                    None if text.is_empty() => loading(),
                    None => Cause::waits(Reason::Loading, format!("pod {name}: {text}")),
                }
            }
            Report::Silent if has_served => Cause::waits(
                Reason::Unresponsive,
                format!("pod {name} no longer answers; it is restarted if that lasts a minute"),
            ),
            Report::Told(_) | Report::Silent | Report::NotAsked { .. } => loading(),
        }
    }
}

/// Nothing is known of it yet.
fn pending() -> Cause {
    Cause::waits(Reason::Pending, "waiting for the pods to be started")
}

/// Without the pod's name or words, so that loading pods of one deployment say the same.
fn loading() -> Cause {
    Cause::waits(Reason::Loading, "the pods are loading the weights")
}
