//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// One OpenAI-compatible endpoint for all models of a cluster.
#[derive(Debug, Parser)]
#[command(name = "alcazar-gateway", version)]
pub struct Cli {
    /// What is done.
    #[command(subcommand)]
    pub command: Command,
    /// Which lines are logged, for example `info` or `alcazar_gateway=debug`.
    #[arg(long, global = true, default_value = "info")]
    pub log_level: String,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until told to end.
    Run {
        /// The settings file (YAML).
        #[arg(long)]
        settings: PathBuf,
    },
    /// Check the hash chain of audit files, given oldest first.
    VerifyAudit {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}
