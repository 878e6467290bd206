//! The last words of a container, and what they mean. Pure.

use alcazar_crds::reasons::DeploymentReason as Reason;
use serde_json::Value;

use super::cause::quote;

/// What a container left behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LastWords {
    /// When they name one that is ours.
    pub(crate) reason: Option<Reason>,
    /// One line.
    pub(crate) text: Option<String>,
}

/// Reads a termination message: the runtime's own JSON, or the end of a log.
pub(crate) fn last_words(message: &str) -> LastWords {
    if let Ok(Value::Object(report)) = serde_json::from_str(message)
        && let Some(failed) = report.get("failed")
    {
        let text = |field: &str| failed.get(field).and_then(Value::as_str).unwrap_or_default();
        return LastWords { reason: reason(text("reason")), text: non_empty(quote(text("message"))) };
    }
    let line = message.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    LastWords { reason: None, text: non_empty(quote(&plain(line))) }
}

/// A reason of the runtime that nothing but a change mends.
pub(crate) fn reason(name: &str) -> Option<Reason> {
    match name {
        "DigestMismatch" => Some(Reason::DigestMismatch),
        "UnsupportedModel" | "InvalidModel" => Some(Reason::UnsupportedModel),
        "DeviceUnavailable" => Some(Reason::DeviceUnavailable),
        _ => None,
    }
}

/// The sentence in a line of a JSON log, with its error; any other line as it is.
fn plain(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    let inner = fields.get("fields").and_then(Value::as_object).unwrap_or(&fields);
    let text = |field: &str| inner.get(field).and_then(Value::as_str).map(str::to_owned);
    match (text("message"), text("error")) {
        (Some(message), Some(error)) => format!("{message}: {error}"),
        (Some(words), None) | (None, Some(words)) => words,
        (None, None) => line.to_owned(),
    }
}

fn non_empty(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}
