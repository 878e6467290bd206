//! Entry point of alcazar-runtime.
#![forbid(unsafe_code)]

use std::{process::ExitCode, time::Instant};

use alcazar_server::{cli::Cli, run};
use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    Ok(run(Cli::parse(), started)?)
}
