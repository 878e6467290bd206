//! Labels and annotations on everything the operator makes.

/// Label: always [`MANAGED_BY_VALUE`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "alcazar";
/// Label: the program in the pod.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// Value of [`APP_NAME`] on pods that run the runtime.
pub const APP_NAME_RUNTIME: &str = "alcazar-runtime";
/// Value of [`APP_NAME`] on the operator's own pod.
pub const APP_NAME_OPERATOR: &str = "alcazar-operator";
/// Value of [`APP_NAME`] on gateway pods.
pub const APP_NAME_GATEWAY: &str = "alcazar-gateway";
/// Label: what the pod is for.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Value of [`COMPONENT`] on pods that serve a model.
pub const COMPONENT_SERVE: &str = "model-server";
/// Value of [`COMPONENT`] on pods that fetch or verify a model.
pub const COMPONENT_FETCH: &str = "fetch";
/// Label: name of the `LlmDeployment` that owns the object.
pub const DEPLOYMENT: &str = "alcazar.dev/deployment";
/// Label: name of the `LlmModel` that owns the object.
pub const MODEL: &str = "alcazar.dev/model";
/// Label: name of the `LlmApiKey` that owns the Secret.
pub const API_KEY: &str = "alcazar.dev/api-key";
/// Annotation on pod templates: hash over the mounted Secrets' versions, so that a rotation rolls the pods.
pub const SECRETS_HASH: &str = "alcazar.dev/secrets-hash";
/// Annotation on every child: hash of what the operator last applied.
pub const APPLIED_HASH: &str = "alcazar.dev/applied-hash";
