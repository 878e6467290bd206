//! Entry point of alcazar.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use alcazar_cli::{cli::Cli, print, run};
use clap::Parser as _;

fn main() -> ExitCode {
    match run::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
