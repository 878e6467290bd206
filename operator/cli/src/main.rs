//! Entry point of alcazar.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use alcazar_cli::{cli::Cli, print, run};
use alcazar_telemetry::panics;
use clap::Parser as _;

fn main() -> ExitCode {
    panics::install();
    match run::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
