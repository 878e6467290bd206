//! Why a spec cannot work: what was found, and what to write. Pure.

use alcazar_crds::reasons::DeploymentReason as Reason;

/// Why a spec cannot work: what was found, and what to write.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Only a value that did not come from the API server lacks these.
    #[error("failed to read the object: metadata has no name, namespace or uid")]
    NoIdentity,
    /// Neither or both of `model` and `modelName`.
    #[error("spec must set exactly one of model and modelName")]
    ModelChoice,
    /// A deployment's own model cannot also be somebody else's.
    #[error(
        "spec.modelName is {name:?}, the deployment's own name: the LlmModel of that name belongs to this deployment; \
         describe it in spec.model, or give the LlmModel another name"
    )]
    OwnName { name: String },
    /// A GPU without an image for it.
    #[error(
        "spec.resources.gpus is {count}, but the operator has no image for GPUs: set runtimeCudaImage in the operator's \
         settings (chart value cuda.enabled), or leave gpus out to serve on the CPU"
    )]
    NoGpuImage { count: i32 },
    /// A quantity that is none, or not positive.
    #[error("{field} is {found:?}; it must be a positive quantity, for example {example}")]
    InvalidQuantity { field: &'static str, found: String, example: &'static str },
    /// A number out of its range.
    #[error("{field} is {found}; it must be {expected}")]
    OutOfRange { field: &'static str, found: i32, expected: &'static str },
    /// An annotation that loosens what protects the pods.
    #[error("spec.podTemplate.annotations must not have {key:?}: it would loosen what protects the pods; remove it")]
    ForbiddenAnnotation { key: String },
    /// Isolation cannot be proven without something to try.
    #[error(
        "spec.network.isolation is Required, but the operator could not find the address of Service default/kubernetes, \
         which pods try to reach to prove their isolation: let the operator read that Service, or write isolation: BestEffort"
    )]
    NothingToProve,
    /// Only the gateway may come in, and there is none.
    #[error(
        "spec.access.mode is Gateway, but this installation has no gateway: write access: {{mode: Direct}} to let the peers \
         of network.allowFrom call the pods without a key, or turn the gateway on (chart value gateway.enabled)"
    )]
    GatewayDisabled,
    /// Peers that the mode would leave out.
    #[error(
        "spec.network.allowFrom names peers, but spec.access.mode is Gateway, which lets in the gateway alone: write \
         access: {{mode: Direct}}, or remove allowFrom"
    )]
    PeersWithoutDirect,
    /// Prompts kept without an end.
    #[error("spec.privacy.promptLogging is Enabled; spec.privacy.retentionDays must say for how many days, 1 to 90")]
    NoRetention,
}

impl Error {
    /// For the conditions.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::GatewayDisabled => Reason::GatewayDisabled,
            _ => Reason::InvalidSpec,
        }
    }
}
