//! A cause that keeps a deployment from serving, with its mend. Pure.

use alcazar_crds::reasons::DeploymentReason;

/// Whether something gets better without a change by somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// The cluster works on it, or may.
    Waits,
    /// Nothing helps but a change.
    Stalls,
}

/// Why pods do not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Of the closed set.
    pub(crate) reason: DeploymentReason,
    /// What was found and what to do.
    pub(crate) message: String,
    /// Whether it waits or stalls.
    pub(crate) weight: Weight,
}

impl Cause {
    pub(crate) fn waits(reason: DeploymentReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), weight: Weight::Waits }
    }

    pub(crate) fn stalls(reason: DeploymentReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), weight: Weight::Stalls }
    }

    /// Mere progress: no person has anything to do.
    pub(crate) fn is_progress(&self) -> bool {
        matches!(self.reason, DeploymentReason::Loading | DeploymentReason::Pending)
    }

    /// The worse of two; of equals the first.
    pub(crate) fn worse(self, other: Self) -> Self {
        let badness = |cause: &Self| (cause.weight, !cause.is_progress());
        if badness(&other) > badness(&self) { other } else { self }
    }
}

/// Longest piece of somebody else's words in a message.
const WORDS: usize = 600;

/// Somebody else's words in one line of bounded length, without a full stop at the end.
pub(crate) fn quote(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches('.');
    if line.chars().count() <= WORDS {
        return line.to_owned();
    }
    let cut: String = line.chars().take(WORDS).collect();
    format!("{cut}…")
}
