//! Pure: where a serving process stands, and how it says that it cannot serve.

use alcazar_contract::isolation::Target;

/// From start to end, in this order.
#[derive(Debug)]
pub(crate) enum Phase {
    Starting(Unready),
    Serving,
    Draining,
}

/// Why no request can be served, for probes, status and clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unready {
    /// CamelCase; the operator knows these words.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// When a client may try again.
    pub retry_after_seconds: u32,
}

/// Why a request of one sort cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotServed {
    /// None can, for now.
    Unready(Unready),
    /// The model is for something else.
    OfTask(&'static str),
}

impl From<Unready> for NotServed {
    fn from(unready: Unready) -> Self {
        Self::Unready(unready)
    }
}

impl Unready {
    pub(crate) fn loading(message: &str) -> Self {
        Self { reason: "Loading", message: message.to_owned(), retry_after_seconds: 2 }
    }

    pub(crate) fn isolation_unproven(blocked: u32, wanted: u32, reached: &[Target]) -> Self {
        let message = if reached.is_empty() {
            format!(
                "{blocked} of {wanted} rounds in a row found every target unreachable; nothing is opened or served before"
            )
        } else {
            format!(
                "this pod can reach {}, which it must not; enforce its NetworkPolicy (the cluster's network plugin must \
                 support egress policies) or set network.isolation to BestEffort",
                told(reached)
            )
        };
        Self { reason: "IsolationUnproven", message, retry_after_seconds: 2 }
    }

    pub(crate) fn isolation_broken(reached: &[Target]) -> Self {
        Self {
            reason: "IsolationBroken",
            message: format!(
                "this pod can now reach {}, which it must not; nothing is served until its NetworkPolicy is enforced again",
                told(reached)
            ),
            retry_after_seconds: 10,
        }
    }

    pub(crate) fn draining() -> Self {
        Self {
            reason: "Draining",
            message: "this replica is shutting down; running answers are finished, new ones go elsewhere".to_owned(),
            retry_after_seconds: 1,
        }
    }
}

fn told(targets: &[Target]) -> String {
    targets.iter().map(Target::told).collect::<Vec<_>>().join(", ")
}
