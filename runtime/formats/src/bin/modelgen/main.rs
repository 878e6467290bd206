//! Writes docs/reference/models.md from the registries of architectures and from what is tested, or checks it.
#![forbid(unsafe_code)]

mod page;
mod proof;

#[cfg(test)]
mod tests;

use std::{path::Path, process::ExitCode};

/// Below the repository's root.
const PAGE: &str = "docs/reference/models.md";

/// `modelgen --write` or `modelgen --check`, in the repository's root.
fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match run(Path::new("."), &mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            #[expect(clippy::print_stderr, reason = "a tool of the build, whose only output is why it failed")]
            {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, mode: &str) -> Result<(), String> {
    let path = root.join(PAGE);
    let text = page::page(&proof::fixtures(root)?, root)?;
    match mode {
        "--write" => std::fs::write(&path, text).map_err(|error| format!("failed to write {PAGE}: {error}")),
        "--check" if std::fs::read_to_string(&path).is_ok_and(|found| found == text) => Ok(()),
        "--check" => Err(format!("out of date: {PAGE}; run `make generate` and commit the result")),
        other => Err(format!("found argument {other:?}, expected --write or --check")),
    }
}
