//! Prompts and answers of deployments whose `privacy.promptLogging` is `Enabled`, and of no others.
//!
//! One file for each deployment and day, in the directory of the audit log. How long it is kept stands in its name, so that
//! it goes in time whatever becomes of the deployment.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use jiff::{ToSpan as _, civil::Date};
use serde::Serialize;

use crate::key::Name;

/// Most that is kept of a prompt, and of an answer.
pub(crate) const MAX_BYTES: usize = 256 << 10;

/// One request with its texts.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exchange {
    #[serde(skip)]
    pub(crate) model: Name,
    #[serde(skip)]
    pub(crate) retention_days: u32,
    pub(crate) time: String,
    pub(crate) request_id: String,
    pub(crate) key: String,
    /// The body as it came, up to [`MAX_BYTES`].
    pub(crate) request: String,
    /// The answer's body, up to [`MAX_BYTES`].
    pub(crate) answer: String,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchange(..)")
    }
}

/// Names have no underscore, so the parts stay apart.
fn file_name(model: &Name, date: Date, retention_days: u32) -> String {
    format!("prompts_{}_{}_{date}_keep{retention_days}.jsonl", model.namespace, model.name)
}

/// Whether a file of this name is to be deleted. Files that are not ours never are.
fn is_expired(file_name: &str, today: Date) -> bool {
    let Some(inner) = file_name.strip_prefix("prompts_").and_then(|rest| rest.strip_suffix(".jsonl")) else {
        return false;
    };
    let mut parts = inner.split('_').skip(2);
    let date = parts.next().and_then(|date| date.parse::<Date>().ok());
    let days = parts.next().and_then(|keep| keep.strip_prefix("keep")?.parse::<i64>().ok());
    let (Some(date), Some(days), None) = (date, days, parts.next()) else { return false };
    date.checked_add(days.days()).is_ok_and(|last| today > last)
}

/// Appends one, readable by nobody else.
pub(crate) fn append(dir: &Path, exchange: &Exchange, today: Date) -> io::Result<()> {
    let path = dir.join(file_name(&exchange.model, today, exchange.retention_days));
    let mut line = serde_json::to_vec(exchange)?;
    line.push(b'\n');
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?.write_all(&line)
}

/// Deletes what is older than it may be.
pub(crate) fn delete_expired(dir: &Path, today: Date) -> io::Result<usize> {
    let mut deleted = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| is_expired(name, today)) {
            fs::remove_file(entry.path())?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn files_go_in_time() {
        let name = file_name(&Name::new("team-a", "assistant"), date(2026, 1, 1), 7);
        assert_eq!(name, "prompts_team-a_assistant_2026-01-01_keep7.jsonl");
        assert!(!is_expired(&name, date(2026, 1, 8)));
        assert!(is_expired(&name, date(2026, 1, 9)));
        for other in
            ["audit.log", "prompts_a_b_c.jsonl", "prompts_a_b_2026-01-01_keepx.jsonl", "prompts_a_b_2026-01-01.jsonl"]
        {
            assert!(!is_expired(other, date(2030, 1, 1)), "{other}");
        }
    }

    #[test]
    fn only_expired_files_are_deleted() {
        let dir = tempfile::tempdir().expect("a directory");
        let exchange = Exchange {
            model: Name::new("team-a", "assistant"),
            retention_days: 1,
            time: String::new(),
            request_id: String::new(),
            key: String::new(),
            request: "hello".into(),
            answer: "hi".into(),
        };
        for day in 1..=4 {
            append(dir.path(), &exchange, date(2026, 1, day)).expect("it should be written");
        }
        fs::write(dir.path().join("audit.log"), "x").expect("it should be written");
        assert_eq!(delete_expired(dir.path(), date(2026, 1, 4)).expect("it should be read"), 2);
        assert_eq!(fs::read_dir(dir.path()).expect("it should be read").count(), 3);
    }
}
