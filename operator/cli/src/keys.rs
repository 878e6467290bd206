//! What `alcazar keys` prints. Pure; key and clock are arguments.

use std::fmt::Write as _;

use alcazar_crds::{
    grant::GrantState,
    llm_api_key::{KeyLimits, LlmApiKey, LlmApiKeySpec},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{cli::CreateKey, error::Error, expiry, key_text, manifest};

/// The object that opens the models to this key; it holds the key's hash alone.
///
/// # Errors
/// Arguments that the API server would refuse, or an expiry that is over.
pub fn api_key(arguments: &CreateKey, key: &str, now: Timestamp) -> Result<LlmApiKey, Error> {
    manifest::check(&arguments.name, &arguments.owner)?;
    let expires_at = arguments.expires.as_deref().map(|text| expiry::parse(text, now).map(Time)).transpose()?;
    let spec = LlmApiKeySpec {
        hash: Some(key_text::hash(key)),
        owner: arguments.owner.clone(),
        models: arguments.models.clone(),
        limits: KeyLimits {
            requests_per_minute: arguments.requests_per_minute,
            tokens_per_minute: arguments.tokens_per_minute,
            tokens_per_day: arguments.tokens_per_day,
        },
        expires_at,
        ..LlmApiKeySpec::default()
    };
    let mut object = LlmApiKey::new(&arguments.name, spec);
    object.metadata.namespace.clone_from(&arguments.namespace);
    Ok(object)
}

/// What the person is told once.
#[must_use]
pub fn shown_once(key: &str) -> String {
    format!("The key, shown only now; its owner needs it, nobody else does:\n\n    {key}\n\n")
}

const COLUMNS: usize = 9;

/// One line a key, columns wide enough for what is in them.
#[must_use]
pub fn table(keys: &[LlmApiKey], with_namespace: bool) -> String {
    let head = ["NAMESPACE", "NAME", "OWNER", "STATE", "READY", "EXPIRES", "LAST USED", "REQUESTS", "TOKENS"]
        .map(str::to_owned);
    let rows: Vec<[String; COLUMNS]> = std::iter::once(head).chain(keys.iter().map(row)).collect();
    let skip = usize::from(!with_namespace);
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths).skip(skip) {
            let _ = write!(line, "{cell:<width$}   ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn row(key: &LlmApiKey) -> [String; COLUMNS] {
    let status = key.status.clone().unwrap_or_default();
    let usage = status.usage.unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let state = match key.spec.state {
        GrantState::Active => "Active",
        GrantState::Revoked => "Revoked",
    };
    let time = |time: Option<&Time>| time.map_or_else(|| "-".to_owned(), |time| time.0.to_string());
    [
        key.metadata.namespace.clone().unwrap_or_default(),
        key.metadata.name.clone().unwrap_or_default(),
        // An owner is somebody's free text; a terminal must not be driven by it.
        key.spec.owner.chars().filter(|c| !c.is_control()).collect(),
        state.to_owned(),
        ready.map_or_else(|| "Unknown".to_owned(), |ready| format!("{} ({})", ready.status, ready.reason)),
        time(key.spec.expires_at.as_ref()),
        time(status.last_used_time.as_ref()),
        usage.requests.to_string(),
        usage.prompt_tokens.saturating_add(usage.completion_tokens).to_string(),
    ]
}

#[cfg(test)]
mod tests;
