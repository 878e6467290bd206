//! Entry point of alcazar-operator: parse, start logging, run.
#![forbid(unsafe_code)]

use std::{net::SocketAddr, path::PathBuf};

use alcazar_operator::{run, settings, telemetry::logging};
use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Turns the kinds of Alcazar into private pods.
#[derive(Parser)]
#[command(name = "alcazar-operator", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reconcile until told to end.
    Run {
        /// The settings file (YAML).
        #[arg(long)]
        settings: PathBuf,
        /// Where /metrics, /livez and /readyz are served, instead of adminListen in the settings.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
}

// One thread: the operator waits for the API server, and each further thread has a heap of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Args { command: Command::Run { settings, listen } } = Args::parse();
    logging::init();
    let mut settings = settings::load(&settings)?;
    settings.admin_listen = listen.unwrap_or(settings.admin_listen);
    run::run(settings).await.context("the operator ended")
}
