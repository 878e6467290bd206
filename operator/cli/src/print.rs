//! What a person sees: YAML on standard output, everything that is secret or said beside it on standard error.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::error::Error;

/// To standard output, so that `> file.yaml` takes it and nothing else.
///
/// # Errors
/// Nobody reads any more.
pub fn result(text: &str) -> Result<(), Error> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(|source| Error::Stdout { source })
}

/// To standard error: a hint, or a secret that is shown once.
pub fn aside(text: &str) {
    // Without a reader there is nobody to tell.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Why a command failed.
pub fn complain(error: &Error) {
    aside(&format!("error: {error}\n"));
}

/// A new file that only its owner may read; one that exists is not touched.
///
/// # Errors
/// It cannot be made.
pub fn secret_file(path: &Path, text: &str) -> Result<(), Error> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| Error::Write { path: path.to_owned(), source })
}
