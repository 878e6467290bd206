//! What an error of the Kubernetes API means. Pure.

/// The cases that somebody acts on differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A ResourceQuota or LimitRange refuses it.
    QuotaExceeded,
    /// Its namespace is being deleted: nothing can be made there any more, and soon nothing is there.
    NamespaceLeaving,
    /// RBAC, Pod Security or an admission policy refuses it.
    Forbidden,
    /// The object is not valid for this API server.
    Invalid,
    /// It is not there.
    NotFound,
    /// It changed meanwhile.
    Conflict,
    /// The API server wants to be asked less.
    Throttled,
    /// A fault of the API server.
    ServerError,
    /// No answer in time, or no connection.
    Unreachable,
    /// Anything else.
    Other,
}

impl Fault {
    /// As a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "QuotaExceeded",
            Self::NamespaceLeaving => "NamespaceLeaving",
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid",
            Self::NotFound => "NotFound",
            Self::Conflict => "Conflict",
            Self::Throttled => "Throttled",
            Self::ServerError => "ServerError",
            Self::Unreachable => "Unreachable",
            Self::Other => "Other",
        }
    }
}

/// Classifies an error.
#[must_use]
pub fn fault(error: &kube::Error) -> Fault {
    match error {
        kube::Error::Api(status) => of_status(status.code, &status.message),
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => Fault::Unreachable,
        _ => Fault::Other,
    }
}

fn of_status(code: u16, message: &str) -> Fault {
    match code {
        403 if is_quota(message) => Fault::QuotaExceeded,
        // The words of the admission plugin NamespaceLifecycle.
        403 if message.contains("because it is being terminated") => Fault::NamespaceLeaving,
        401 | 403 => Fault::Forbidden,
        400 | 422 => Fault::Invalid,
        404 | 410 => Fault::NotFound,
        409 => Fault::Conflict,
        429 => Fault::Throttled,
        500.. => Fault::ServerError,
        _ => Fault::Other,
    }
}

/// The words of the two admission plugins; they have no code of their own.
#[must_use]
pub fn is_quota(message: &str) -> bool {
    const WORDS: [&str; 6] = [
        "exceeded quota",
        "failed quota",
        "insufficient quota",
        "maximum storage usage per PersistentVolumeClaim",
        "minimum storage usage per PersistentVolumeClaim",
        "usage per Container is",
    ];
    WORDS.iter().any(|words| message.contains(words))
}

/// For metrics.
#[must_use]
pub fn reason(error: &kube::Error) -> &'static str {
    fault(error).as_str()
}

/// What the API server said, or why there was no answer.
#[must_use]
pub fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_words_of_the_quota_plugins() {
        for (code, message, expected) in [
            (
                403,
                "persistentvolumeclaims \"m-weights\" is forbidden: exceeded quota: q, requested: ...",
                Fault::QuotaExceeded,
            ),
            (403, "pods \"x\" is forbidden: failed quota: q: must specify limits.cpu", Fault::QuotaExceeded),
            (
                403,
                "persistentvolumeclaims \"m-weights\" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 20Gi",
                Fault::QuotaExceeded,
            ),
            (
                403,
                "services \"x\" is forbidden: unable to create new content in namespace t because it is being terminated",
                Fault::NamespaceLeaving,
            ),
            (403, "services is forbidden: User \"x\" cannot create resource", Fault::Forbidden),
            (422, "Job.batch \"x\" is invalid: spec.template: field is immutable", Fault::Invalid),
            (409, "the object has been modified", Fault::Conflict),
            (429, "slow down", Fault::Throttled),
            (503, "etcd", Fault::ServerError),
        ] {
            assert_eq!(of_status(code, message), expected, "{message}");
        }
    }
}
