//! Writes docs/reference/cli.md from the definition of the command line, or checks it.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use alcazar_cli::{print, reference};

/// Below the repository's root.
const PAGE: &str = "docs/reference/cli.md";

/// `cligen --write` or `cligen --check`, in the repository's root.
fn main() -> ExitCode {
    match run(&std::env::args().nth(1).unwrap_or_default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            print::aside(&format!("error: {message}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(mode: &str) -> Result<(), String> {
    let (path, text) = (PathBuf::from(PAGE), reference::page());
    match mode {
        "--write" => std::fs::write(&path, text).map_err(|error| format!("failed to write {PAGE}: {error}")),
        "--check" if std::fs::read_to_string(&path).is_ok_and(|found| found == text) => Ok(()),
        "--check" => Err(format!("out of date: {PAGE}; run `make generate` and commit the result")),
        other => Err(format!("found argument {other:?}, expected --write or --check")),
    }
}
