//! `fetch`, `verify` and `inspect`: runs that end by themselves and leave a report.

use std::{
    convert::Infallible, fs, future::pending, io::Write as _, net::SocketAddr, path::Path, sync::Arc, time::Duration,
};

use alcazar_contract::{
    report::{ModelFacts, Report},
    status::FetchStatus,
};
use alcazar_formats::Plain;
use alcazar_store::{
    Credentials, Fetch, FetchError, Progress, Protection, failed, fetch, verify, write_termination_log,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{self, ModelInspector},
    cli, device, listen, probe,
};

/// How often the progress is logged.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Whether a job reached its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sealed,
    Failed,
}

/// Why nothing is known or shown of a model.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("{source}")]
    Model { source: alcazar_formats::Error },
    #[error("failed to write the facts as JSON: {source}")]
    Render { source: serde_json::Error },
    #[error("failed to print the facts: {source}")]
    Print { source: std::io::Error },
}

pub(crate) async fn run_fetch(args: cli::Fetch) -> Outcome {
    let (log, listen) = (args.termination_log.clone(), args.probe_listen);
    let progress = Progress::default();
    let work = async {
        let job = parse_job(args)?;
        fetch(&job, Arc::new(ModelInspector), &progress).await
    };
    finish(&log, attended(work, &progress, listen).await)
}

pub(crate) async fn run_verify(args: cli::Verify) -> Outcome {
    let progress = Progress::default();
    let work = async {
        let protection = protection(&args.protection)?;
        verify(&args.model, args.expect_digest.as_deref(), &protection, Arc::new(ModelInspector), &progress).await
    };
    finish(&args.termination_log, attended(work, &progress, args.probe_listen).await)
}

/// Prints what a model says of itself, and what memory it needs here: its weights, and one whole context.
pub(crate) fn run_inspect(model: &Path) -> Result<(), InspectError> {
    let facts = alcazar_formats::inspect(model).map_err(|source| InspectError::Model { source })?;
    let context_bytes = facts.cache_bytes_per_token.saturating_mul(facts.context_length);
    let render = |source| InspectError::Render { source };
    let mut all = serde_json::to_value(&facts).map_err(render)?;
    if let Some(all) = all.as_object_mut() {
        all.insert("weightMemoryBytes".to_owned(), device::weight_memory(&facts).into());
        all.insert("contextMemoryBytes".to_owned(), context_bytes.into());
        let (adapters, refused) = adapters::inspect(&Plain, model).map_err(|source| InspectError::Model { source })?;
        all.insert("adapters".to_owned(), serde_json::to_value(adapters).map_err(render)?);
        if let Some(all) = all.get_mut("refused").and_then(serde_json::Value::as_array_mut) {
            all.extend(refused.into_iter().map(Into::into));
        }
    }
    let text = serde_json::to_string_pretty(&all).map_err(render)?;
    writeln!(std::io::stdout().lock(), "{text}").map_err(|source| InspectError::Print { source })
}

fn parse_job(args: cli::Fetch) -> Result<Fetch, FetchError> {
    let source = serde_json::from_str(&args.source)
        .map_err(|error| FetchError::InvalidSource { fault: format!("--source is no source: {error}") })?;
    let protection = protection(&args.protection)?;
    let credentials = args.credentials_dir.as_deref().map(Credentials::read).transpose()?;
    fs::create_dir_all(&args.into).map_err(|source| FetchError::Volume {
        operation: "open the volume at",
        path: args.into.clone(),
        source,
    })?;
    Ok(Fetch {
        expect_digest: args.expect_digest,
        credentials,
        allow_hosts: args.allow_host,
        ca_file: args.ca_file,
        protection,
        ..Fetch::new(source, args.into)
    })
}

fn protection(args: &cli::Protection) -> Result<Protection, FetchError> {
    let (key, roots) = (args.signature_key.as_deref(), args.signature_roots.as_deref());
    Protection::read(key, roots, args.encryption_key_dir.as_deref())
}

/// Runs the work while its progress is told and logged. SIGTERM ends it; what is on the volume counts next time.
async fn attended(
    work: impl Future<Output = Result<ModelFacts, FetchError>>,
    progress: &Progress,
    listen: SocketAddr,
) -> Result<ModelFacts, FetchError> {
    tokio::select! {
        outcome = work => outcome,
        () = terminated() => Err(FetchError::Interrupted),
        never = tell(progress, listen) => match never {},
        never = log(progress) => match never {},
    }
}

async fn tell(progress: &Progress, listen: SocketAddr) -> Infallible {
    match probe::bind(listen).await {
        Ok(socket) => {
            let close = CancellationToken::new();
            listen::serve(socket, None, probe::progress_router(progress.clone()), close).await;
        }
        // The work matters more than its progress.
        Err(error) => tracing::warn!(%error, "the progress is only logged"),
    }
    pending().await
}

async fn log(progress: &Progress) -> Infallible {
    loop {
        tokio::time::sleep(LOG_EVERY).await;
        let FetchStatus { done_bytes, total_bytes, bytes_per_second, seconds_left } = progress.snapshot();
        tracing::info!(done_bytes, total_bytes, bytes_per_second, ?seconds_left, "progress");
    }
}

async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => pending().await,
    }
}

fn finish(log: &Path, result: Result<ModelFacts, FetchError>) -> Outcome {
    let (report, outcome) = match result {
        Ok(facts) => (Report::Sealed(facts), Outcome::Sealed),
        Err(error) => (failed(&error), Outcome::Failed),
    };
    match &report {
        Report::Sealed(facts) => tracing::info!(digest = facts.digest, bytes = facts.size_bytes, "verified"),
        Report::Failed(failure) => tracing::error!(reason = failure.reason.as_str(), "{}", failure.message),
    }
    if let Err(error) = write_termination_log(log, &report) {
        tracing::debug!(%error, "there is no termination log to write");
    }
    outcome
}
