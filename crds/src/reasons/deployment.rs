//! Reasons on the conditions of `LlmDeployment`.

use super::closed_enum;

closed_enum! {
    /// Why a condition of an `LlmDeployment` has its status.
    pub enum DeploymentReason {
        /// The spec makes sense and is allowed here.
        Accepted,
        /// The operator has not got to it yet, or waits for its own last step to show.
        Pending,
        /// The pods serve the current spec.
        Serving,
        /// Some pods serve and others do not yet; requests are answered.
        PartlyServing,
        /// state is Suspended: no pods, on purpose.
        Suspended,
        /// replicas is 0: no pods, on purpose.
        ScaledToZero,
        /// New pods are replacing old ones.
        RollingOut,
        /// All pods run the current spec.
        RolledOut,
        /// The pods are up and loading the weights.
        Loading,
        /// Every pod has a node.
        Scheduled,
        /// The object is being deleted.
        Deleting,

        /// The spec cannot work although the API server took it; the message names the field and what to write.
        InvalidSpec,
        /// A child's name is taken by an object that is not ours; rename one of them or delete the other.
        NameConflict,
        /// access.mode is Gateway and this installation has no gateway; set access.mode: Direct, or turn the gateway on.
        GatewayDisabled,
        /// privacy.promptLogging is Enabled: prompts and answers may be logged, for the days that the message says.
        PromptLoggingEnabled,
        /// The operator's certificate authority is missing or broken, so the pods cannot get a certificate.
        CertificateUnavailable,

        /// The weights are sealed and verified.
        ModelSealed,
        /// There is no LlmModel of that name in this namespace; create it or correct modelName.
        ModelNotFound,
        /// The model's weights are on their way; the LlmModel's status says how far.
        ModelNotReady,
        /// The model's weights do not get ready without a change; the message repeats the LlmModel's.
        ModelStalled,

        /// The pods tried to reach what they must not reach, and could not.
        IsolationProven,
        /// A pod reached what it must not reach: the cluster's network does not enforce the policies.
        IsolationBroken,
        /// No pod has told yet whether it is isolated.
        IsolationUnproven,

        /// A ResourceQuota or LimitRange refuses the pods; the message says which.
        QuotaExceeded,
        /// A pod was refused by the API server, by Pod Security or an admission policy.
        PodRefused,
        /// No node can run a pod; the message has the scheduler's words.
        Unschedulable,
        /// The runtime's image cannot be pulled; the message has the registry's words.
        ImagePullFailed,
        /// The volume or the certificate could not be mounted into a pod.
        MountFailed,
        /// The weights cannot be attached to a second node; use ReadWriteMany or keep the pods on one node.
        VolumeNotShared,
        /// A container ends again and again; the message has its exit code and last words.
        CrashLoop,
        /// A pod was killed because it used more memory than its limit; make resources.memory larger.
        OutOfMemory,
        /// A node evicted a pod, or was lost; another one follows.
        Evicted,
        /// The weights that a pod found are not the sealed ones; it serves nothing.
        DigestMismatch,
        /// The runtime cannot serve this model; the message says what it found and what it serves.
        UnsupportedModel,
        /// A pod asked for a GPU and found none that it can use.
        DeviceUnavailable,
        /// A pod that was ready no longer answers its probe.
        Unresponsive,
        /// The pods did not get ready within rollout.progressDeadlineSeconds; what served before goes on.
        ProgressDeadlineExceeded,
    }
}
