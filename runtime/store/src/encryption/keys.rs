//! The mounted Secret with the identities.

use std::{fs, io, path::Path};

use age::x25519::{Identity, Recipient};
use zeroize::Zeroizing;

use crate::error::FetchError;

/// Larger than any list of identities.
const MAX_KEY_BYTES: u64 = 64 << 10;
const EXPECTED: &str = "an age identity (AGE-SECRET-KEY-1…, as age-keygen makes it)";

/// Who opens the weights: the identity of today, and older ones while keys are rotated.
#[derive(Clone)]
pub struct Keys {
    current: Identity,
    previous: Vec<Identity>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("recipient", &self.recipient()).finish_non_exhaustive()
    }
}

impl Keys {
    /// From `key` and, where there is one, `previous` in a directory.
    pub fn read(dir: &Path) -> Result<Self, FetchError> {
        let Some(current) = read(&dir.join("key"))? else {
            let fault = format!("there is no entry 'key' in {}; put {EXPECTED} into the Secret", dir.display());
            return Err(FetchError::KeyMissing { fault });
        };
        let previous = read(&dir.join("previous"))?;
        Self::parse(&current, previous.as_ref().map_or("", |text| text.as_str()))
    }

    /// From the texts of the entries.
    pub fn parse(current: &str, previous: &str) -> Result<Self, FetchError> {
        let current = identities(current, "key")?;
        let [current] = current.as_slice() else {
            let fault = format!(
                "the entry 'key' has {} identities, expected one; put older ones into 'previous'",
                current.len()
            );
            return Err(FetchError::key(fault));
        };
        Ok(Self { current: current.clone(), previous: identities(previous, "previous")? })
    }

    /// `age1…`, which is no secret.
    pub fn recipient(&self) -> String {
        self.current.to_public().to_string()
    }

    pub(super) fn public(&self) -> Recipient {
        self.current.to_public()
    }

    pub(super) const fn current(&self) -> &Identity {
        &self.current
    }

    pub(super) fn previous(&self) -> &[Identity] {
        &self.previous
    }
}

/// Lines of an identity file: comments and empty lines are passed over. No line is in a message.
fn identities(text: &str, entry: &str) -> Result<Vec<Identity>, FetchError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .enumerate()
        .map(|(nth, line)| {
            line.parse::<Identity>().map_err(|fault| {
                FetchError::key(format!("line {} of the entry '{entry}' is not {EXPECTED}: {fault}", nth + 1))
            })
        })
        .collect()
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, FetchError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(meta) if meta.len() > MAX_KEY_BYTES => {
            return Err(FetchError::key(format!("{} is larger than {MAX_KEY_BYTES} bytes", path.display())));
        }
        _ => {}
    }
    let text = fs::read_to_string(path);
    text.map(|text| Some(Zeroizing::new(text)))
        .map_err(|error| FetchError::key(format!("{} cannot be read: {error}", path.display())))
}
