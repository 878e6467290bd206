//! From parsed arguments to an exit code: threads, logs, the async runtime, the command.

use std::{
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use alcazar_formats::Access;
use alcazar_telemetry::{Ceiling, Unclear, panics};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    adapters::{self, Opened},
    cli::{Cli, Command, Serve},
    device, dumps,
    jobs::{self, InspectError, Outcome},
    language::ModelLanguage,
    limits::{self, Limits},
    load::{self, LoadError, LoadOptions, LoadedModel},
    serve::{self, Bundle, EncoderBundle, Model, ServeError},
};

/// HTTP is light beside the model; these threads mostly sleep.
const MAX_HTTP_THREADS: usize = 4;
/// For code, tokenizer, buffers and what the kernel charges to the group.
const MEMORY_RESERVE_BYTES: u64 = 256 << 20;
/// A cache below this serves nobody; better to try and be told.
const MIN_CACHE_BYTES: u64 = 64 << 20;

/// Why a command did not even begin, or could not print.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("failed to understand --log-level: {source}")]
    LogLevel { source: Unclear },
    #[error("failed to set up logging: {source}")]
    Logs { source: Box<dyn std::error::Error + Send + Sync> },
    #[error("failed to start the async runtime: {source}")]
    Runtime { source: io::Error },
    #[error("{source}")]
    Inspect { source: InspectError },
}

/// Runs a command.
pub fn run(cli: Cli, started: Instant) -> Result<ExitCode, RunError> {
    panics::install();
    let limits = limits::read();
    let threads = match &cli.command {
        Command::Serve(Serve { threads: Some(threads), .. }) => *threads,
        _ => limits.threads(),
    };
    init_logs(&cli.log_level)?;
    dumps::forbid();
    let runtime = build_runtime(threads)?;
    let code = match cli.command {
        Command::Serve(args) => run_serve(&runtime, args, started, limits, threads),
        Command::Fetch(args) => exit_code(runtime.block_on(jobs::run_fetch(args))),
        Command::Verify(args) => exit_code(runtime.block_on(jobs::run_verify(args))),
        Command::Inspect { model } => {
            jobs::run_inspect(&model).map_err(|source| RunError::Inspect { source })?;
            ExitCode::SUCCESS
        }
    };
    // A load or a hash that is still under way must not hold the exit up.
    runtime.shutdown_background();
    Ok(code)
}

fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Sealed => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::FAILURE,
    }
}

fn run_serve(runtime: &Runtime, args: Serve, started: Instant, limits: Limits, threads: NonZeroUsize) -> ExitCode {
    tracing::info!(threads, memory_limit = ?limits.memory_bytes, "starting");
    let log = args.termination_log.clone();
    let options = LoadOptions {
        n_threads: threads,
        context_length: args.context_length.map(NonZeroUsize::get),
        max_sequences: args.max_sequences.get(),
        // The gate bounds the queue; to the engine, what it is about to start waits too.
        max_queued: args.max_sequences.get().saturating_add(args.max_queued),
        cache_bytes: None,
    };
    let (name, given, is_verified) = (serve::name_of(&args), args.adapter.clone(), args.digest.is_some());
    let open = Box::new(move |access: Arc<dyn Access>, path: PathBuf| {
        let adapters = adapters::open(&*access, &path, &name, &given, is_verified);
        let adapters = adapters.map_err(|source| failed_load(&LoadError::Adapters { source }))?;
        open_model(&*access, &path, adapters, options, limits.memory_bytes)
    });
    match runtime.block_on(serve::run(args, started, open)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(reason = error.reason(), "{error}");
            if let Err(error) = error.write_termination_log(&log) {
                tracing::warn!(%error, "failed to write the termination log");
            }
            ExitCode::FAILURE
        }
    }
}

fn failed_load(error: &LoadError) -> ServeError {
    ServeError::Load { reason: error.reason(), message: error.to_string() }
}

fn open_model(
    access: &dyn Access,
    path: &Path,
    adapters: Opened,
    options: LoadOptions,
    memory_limit: Option<u64>,
) -> Result<Model, ServeError> {
    // What cannot be read counts nothing and fails at the load, with a better word.
    let weights = alcazar_formats::inspect_with(access, path).map_or(0, |facts| device::weight_memory(&facts));
    let of_adapters = adapters.adapters.iter().map(|adapter| device::adapter_memory(adapter));
    let weights = of_adapters.fold(weights, u64::saturating_add);
    let options = LoadOptions { cache_bytes: memory_limit.map(|limit| cache_bytes(limit, weights)), ..options };
    let loaded = load::load(access, path, &options, &adapters.adapters).map_err(|error| failed_load(&error))?;
    let (facts, device) = (loaded.facts, loaded.device);
    Ok(match loaded.model {
        LoadedModel::Decoder { engine, template } => Model::Decoder(Box::new(Bundle {
            vocabulary: u32::try_from(facts.vocabulary).unwrap_or(u32::MAX),
            language: Arc::new(ModelLanguage::new(loaded.tokenizer, template.map(|template| *template))),
            engine: *engine,
            device,
            layers: facts.layers,
            adapters: adapters.served,
        })),
        LoadedModel::Encoder(encoder) => {
            Model::Encoder(EncoderBundle { tokenizer: loaded.tokenizer, encoder, device, layers: facts.layers })
        }
    })
}

/// What the memory limit leaves for keys and values.
fn cache_bytes(limit: u64, weight_bytes: u64) -> u64 {
    limit.saturating_sub(weight_bytes).saturating_sub(MEMORY_RESERVE_BYTES).max(MIN_CACHE_BYTES)
}

fn init_logs(level: &str) -> Result<(), RunError> {
    let filter = Ceiling::parse(level).map_err(|source| RunError::LogLevel { source })?;
    let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let lines = lines.with_writer(io::stderr).with_filter(filter);
    tracing_subscriber::registry().with(lines).try_init().map_err(|source| RunError::Logs { source: source.into() })
}

fn build_runtime(threads: NonZeroUsize) -> Result<Runtime, RunError> {
    Builder::new_multi_thread()
        .worker_threads(threads.get().min(MAX_HTTP_THREADS))
        // Hashing and tokenizing run here, and they compute: more of them than processors only wait for each other.
        .max_blocking_threads(threads.get().max(2) * 2)
        .enable_all()
        .build()
        .map_err(|source| RunError::Runtime { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_takes_what_the_limit_leaves() {
        assert_eq!(cache_bytes(768 << 20, 98 << 20), 414 << 20);
        assert_eq!(cache_bytes(300 << 20, 98 << 20), MIN_CACHE_BYTES);
    }
}
