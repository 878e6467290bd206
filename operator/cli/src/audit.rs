//! `alcazar audit`: whether an audit log is whole. File system required.

use alcazar_gateway::audit::{GENESIS, verify_files};

use crate::{cli::VerifyAudit, error::Error};

/// Verifies; what to tell the person.
///
/// # Errors
/// A line that breaks the chain, or a file that cannot be read.
pub fn verify(arguments: &VerifyAudit) -> Result<String, Error> {
    let found = verify_files(&arguments.files).map_err(|error| Error::Audit { why: error.to_string() })?;
    let begins = match found.first_prev.as_str() {
        "" => "no line at all".to_owned(),
        GENESIS => "from the beginning of the chain".to_owned(),
        before => format!("after the line with hash {before}, which is in an older file"),
    };
    Ok(format!("{} lines are whole, {begins}; the last has hash {}\n", found.lines, found.last_hash))
}
