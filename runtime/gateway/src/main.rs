//! Entry point of alcazar-gateway.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use alcazar_gateway::{cli::Cli, run};
use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    Ok(run::run(&Cli::parse())?)
}
