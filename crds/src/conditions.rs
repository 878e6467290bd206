//! The condition types of every kind. `Ready` sums up; `Reconciling` and `Stalled` follow kstatus, so that
//! `kubectl wait`, Flux and Argo CD judge an object without knowing its kind.

use crate::reasons::closed_enum;

closed_enum! {
    /// Condition types of `LlmModel`, in the order in which they come true.
    pub enum ModelCondition {
        /// The weights are sealed and verified and can be served.
        Ready,
        /// Present while the operator works towards the spec; absent when it rests.
        Reconciling,
        /// Present while nothing gets better without a change by somebody; the message says which.
        Stalled,
        /// The spec makes sense and is allowed here.
        Accepted,
        /// The claim for the weights is bound to a volume.
        VolumeBound,
        /// Files with the expected digest lie read-only on the volume.
        Sealed,
    }
}

closed_enum! {
    /// Condition types of `LlmDeployment`, in the order in which they come true.
    pub enum DeploymentCondition {
        /// As many pods as asked for serve the current spec, isolated as asked for.
        Ready,
        /// Present while the operator works towards the spec; absent when it rests.
        Reconciling,
        /// Present while nothing gets better without a change by somebody; the message says which.
        Stalled,
        /// The spec makes sense and is allowed here.
        Accepted,
        /// The model's weights are sealed and verified.
        ModelReady,
        /// Every pod has a node.
        Scheduled,
        /// The pods tried to reach what they must not reach, and could not.
        NetworkIsolated,
        /// All pods run the current spec.
        Rolledout,
        /// Present while prompts and answers may be logged; the message says for how many days.
        PromptLogging,
    }
}

closed_enum! {
    /// Condition types of `LlmApiKey`.
    pub enum ApiKeyCondition {
        /// The key opens its models.
        Ready,
        /// Present while nothing gets better without a change by somebody; the message says which.
        Stalled,
    }
}

closed_enum! {
    /// Condition types of `LlmVpnPeer`.
    pub enum VpnPeerCondition {
        /// The peer may connect.
        Ready,
        /// Present while nothing gets better without a change by somebody; the message says which.
        Stalled,
    }
}
