//! Conditions as the API conventions want them: every known type from the first visit on, times that move only with the
//! status, and `Reconciling`, `Stalled` and `PromptLogging` present only while they are true. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

#[cfg(test)]
mod tests;

/// Types that are there only while true (kstatus: abnormal-true; and what nobody should have to look for).
const ABNORMAL_TRUE: [&str; 3] = ["Reconciling", "Stalled", "PromptLogging"];

/// Reasons of `Ready` that are a matter of time, not of somebody's doing: no Event tells of them.
const UNDERWAY: [&str; 15] = [
    "Pending",
    "Fetching",
    "Verifying",
    "WaitingForConsumer",
    "Deleting",
    "ModelNotReady",
    "RollingOut",
    "Loading",
    "PartlyServing",
    "Scheduled",
    "Suspended",
    "ScaledToZero",
    "IsolationUnproven",
    "ModelStalled",
    "Revoked",
];

/// Reasons of a `Ready` that was lost because somebody asked for it.
const ON_PURPOSE: [&str; 3] = ["Suspended", "ScaledToZero", "Revoked"];

/// Longest message that a condition may carry (`metav1.Condition`).
const MESSAGE_LENGTH: usize = 32_768;

/// Three-valued, as a condition's status is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}

impl Truth {
    /// As Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// What a condition is to say now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// For example `Ready`.
    pub type_: &'static str,
    /// Whether it holds.
    pub status: Truth,
    /// CamelCase, of a closed set.
    pub reason: &'static str,
    /// One sentence: what was found and what to do.
    pub message: String,
}

impl Desired {
    /// All four at once.
    pub fn new(
        type_: &'static str,
        status: impl Into<Truth>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status: status.into(), reason, message: message.into() }
    }
}

/// The conditions to write: `desired` in its order, with the old transition times where the status did not change, then
/// conditions of types that others set. An abnormal-true type that is not true is left out.
#[must_use]
pub fn merge(old: &[Condition], desired: Vec<Desired>, generation: i64, now: Timestamp) -> Vec<Condition> {
    let ours: Vec<&'static str> = desired.iter().map(|condition| condition.type_).chain(ABNORMAL_TRUE).collect();
    let mut merged: Vec<Condition> = desired
        .into_iter()
        .filter(|new| new.status == Truth::True || !ABNORMAL_TRUE.contains(&new.type_))
        .map(|new| render(old.iter().find(|old| old.type_ == new.type_), new, generation, now))
        .collect();
    merged.extend(old.iter().filter(|old| !ours.contains(&old.type_.as_str())).cloned());
    merged
}

fn render(old: Option<&Condition>, new: Desired, generation: i64, now: Timestamp) -> Condition {
    let kept = old.filter(|old| old.status == new.status.as_str()).map(|old| old.last_transition_time.clone());
    Condition {
        type_: new.type_.to_owned(),
        status: new.status.as_str().to_owned(),
        reason: new.reason.to_owned(),
        message: clip(new.message),
        observed_generation: Some(generation),
        // The API server stores whole seconds; anything finer would differ at the next pass.
        last_transition_time: kept.unwrap_or_else(|| Time(whole_seconds(now))),
    }
}

fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

fn clip(mut message: String) -> String {
    if message.len() > MESSAGE_LENGTH {
        let end = (0..=MESSAGE_LENGTH).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
    }
    message
}

/// A transition worth an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whether it is for a person to act on.
    pub warning: bool,
    /// The condition's reason.
    pub reason: String,
    /// The condition's message.
    pub message: String,
}

/// What changed for a person between two states: `Ready` became true or was lost, or a new cause keeps it from
/// becoming true. First visits and mere progress are no transitions.
#[must_use]
pub fn transition(old: &[Condition], new: &[Condition]) -> Option<Transition> {
    let ready = find(new, "Ready")?;
    let before = find(old, "Ready");
    let tell = |warning| Some(Transition { warning, reason: ready.reason.clone(), message: ready.message.clone() });
    match (before.is_some_and(|before| before.status == "True"), ready.status == "True") {
        (false, true) => tell(false),
        (true, false) => tell(!ON_PURPOSE.contains(&ready.reason.as_str())),
        (true, true) => None,
        (false, false) => {
            let known = before.is_some_and(|before| before.reason == ready.reason);
            let underway = UNDERWAY.contains(&ready.reason.as_str()) && find(new, "Stalled").is_none();
            if known || underway { None } else { tell(true) }
        }
    }
}

/// The condition of that type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of that type is there and true.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}
