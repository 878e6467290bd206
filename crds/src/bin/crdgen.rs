//! Writes crds/yaml and docs/reference/kinds.md from the types, or checks that they are up to date.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use alcazar_crds::generated::{generated_files, stale_files};
use anyhow::{Context, Result, ensure};
use clap::Parser;

/// Writes what is generated from the kinds, or checks it.
#[derive(Parser)]
#[command(name = "crdgen")]
struct Arguments {
    /// Write the files.
    #[arg(long, required_unless_present = "check", conflicts_with = "check")]
    write: bool,
    /// Write nothing; fail and name the files that are out of date.
    #[arg(long)]
    check: bool,
    /// Root of the repository.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let root = &arguments.root;
    ensure!(
        root.join("crds/src").is_dir(),
        "failed to find crds/src in {}: give the repository's root",
        root.display()
    );
    if arguments.write { write(root) } else { check(root) }
}

fn write(root: &Path) -> Result<()> {
    for file in generated_files() {
        let path = root.join(&file.path);
        let folder = path.parent().context("failed to find the folder of a generated file")?;
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        fs::write(&path, &file.text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

fn check(root: &Path) -> Result<()> {
    let stale: Vec<_> = stale_files(root).iter().map(|path| path.display().to_string()).collect();
    ensure!(stale.is_empty(), "out of date: {}; run `make generate` and commit the result", stale.join(", "));
    Ok(())
}
