//! The last word of a fetch or verification, cut to what Kubernetes keeps of it.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::Path,
};

use alcazar_contract::{
    paths::TERMINATION_LOG_BYTES,
    report::{FetchFailure, ModelFacts, Report},
};

use crate::error::FetchError;

/// The report of a failure.
pub fn failed(error: &FetchError) -> Report {
    Report::Failed(FetchFailure { reason: error.reason(), message: error.to_string() })
}

/// JSON of at most [`TERMINATION_LOG_BYTES`]: `render` puts the message into its shape, and a message that is too
/// long loses its end.
pub fn last_word(message: &str, render: impl Fn(&str) -> serde_json::Result<String>) -> serde_json::Result<String> {
    let mut keep = message.floor_char_boundary(TERMINATION_LOG_BYTES);
    loop {
        let is_whole = keep == message.len();
        let text = if is_whole { render(message)? } else { render(&format!("{}…", &message[..keep]))? };
        if text.len() <= TERMINATION_LOG_BYTES || keep == 0 {
            return Ok(text);
        }
        // A byte takes at most six in JSON, so this never cuts far too much; at least one goes, so it ends.
        let excess = text.len() - TERMINATION_LOG_BYTES;
        keep = message.floor_char_boundary(keep.saturating_sub(excess / 6 + 1));
    }
}

/// Writes a last word where the kubelet reads it. The file is opened, not replaced: it is a mount of its own.
pub fn write_last_word(path: &Path, text: &str) -> io::Result<()> {
    // The kubelet's file is always there; outside a pod nothing may appear under /dev.
    let mut file = OpenOptions::new().create(!path.starts_with("/dev")).write(true).truncate(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Writes the report of a fetch or verification.
pub fn write_termination_log(path: &Path, report: &Report) -> io::Result<()> {
    let text = termination_message(report).map_err(io::Error::other)?;
    write_last_word(path, &text)
}

fn termination_message(report: &Report) -> serde_json::Result<String> {
    match report {
        Report::Failed(FetchFailure { reason, message }) => last_word(message, |message| {
            serde_json::to_string(&Report::Failed(FetchFailure { reason: *reason, message: message.to_owned() }))
        }),
        // Of the facts only this one is as long as a file's author likes.
        Report::Sealed(facts) => last_word(&facts.architecture, |architecture| {
            serde_json::to_string(&Report::Sealed(ModelFacts {
                architecture: architecture.to_owned(),
                ..facts.clone()
            }))
        }),
    }
}

#[cfg(test)]
mod tests {
    use alcazar_contract::report::FetchReason;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_message_fits_and_stays_readable(message in "(.|\n|\"|ü|😀){0,3000}") {
            let report = Report::Failed(FetchFailure { reason: FetchReason::InvalidModel, message: message.clone() });
            let text = termination_message(&report).expect("text");
            prop_assert!(text.len() <= TERMINATION_LOG_BYTES);
            let Report::Failed(read) = serde_json::from_str(&text).expect("JSON") else { panic!("failed") };
            prop_assert!(message.starts_with(read.message.trim_end_matches('…')));
        }
    }

    #[test]
    fn a_long_message_loses_little() {
        let message = "ü".repeat(5000);
        let text = termination_message(&Report::Failed(FetchFailure { reason: FetchReason::InvalidModel, message }));
        assert!((4080..=4096).contains(&text.expect("text").len()));
        let facts = ModelFacts { architecture: "a".repeat(9000), ..ModelFacts::default() };
        assert!(termination_message(&Report::Sealed(facts)).expect("text").len() <= 4096);
    }
}
