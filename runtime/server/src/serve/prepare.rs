//! From files on a volume to a model that has answered once.

use std::{path::PathBuf, sync::Arc, time::Duration};

use alcazar_contract::status::ServeStatus;
use alcazar_core::Encoder;
use alcazar_engine::{Engine, Gate};
use alcazar_formats::{Access, Plain};
use alcazar_store::{FetchError, Progress, Protection, manifest::parse_digest, prove};
use alcazar_text::Tokenizer;

use super::ServeError;
use crate::{
    adapters::ServedAdapter,
    app::{App, Served, ServedEncoder, Unready},
    benchmark, cli,
    encoder_thread::EncoderThread,
    engine_thread::EngineThread,
    language::Language,
};

/// Waiting prompts together, in multiples of the context.
const QUEUED_CONTEXTS: usize = 16;

/// Opens the model at a path. Blocking; runs on a thread of its own.
pub(crate) type Load = Box<dyn FnOnce(Arc<dyn Access>, PathBuf) -> Result<Model, ServeError> + Send>;

/// A model as the server needs it.
pub(crate) enum Model {
    Decoder(Box<Bundle>),
    Encoder(EncoderBundle),
}

/// A model that goes on from texts.
pub(crate) struct Bundle {
    pub language: Arc<dyn Language>,
    pub engine: Engine,
    /// `CPU`, or the name of the GPU.
    pub device: String,
    pub layers: u32,
    pub vocabulary: u32,
    pub adapters: Vec<ServedAdapter>,
}

/// A model that judges texts, or makes vectors of them.
pub(crate) struct EncoderBundle {
    pub tokenizer: Arc<Tokenizer>,
    pub encoder: Box<dyn Encoder>,
    /// `CPU`, or the name of the GPU.
    pub device: String,
    pub layers: u32,
}

/// The thread that serves now.
pub(super) enum Worker {
    Engine(EngineThread),
    Encoder(EncoderThread),
}

impl Worker {
    /// Ends the thread and waits for it. Blocking.
    pub(super) fn quit(self) {
        match self {
            Self::Engine(thread) => thread.quit(),
            Self::Encoder(thread) => thread.quit(),
        }
    }
}

/// Verifies, loads, runs once, and opens the API.
pub(super) async fn prepare(args: &cli::Serve, app: &App, load: Load) -> Result<Worker, ServeError> {
    let (digest, access) = verify(args, app).await?;
    app.starting(Unready::loading("the model is being loaded"));
    let path = args.model.clone();
    match tokio::task::spawn_blocking(move || load(access, path)).await?? {
        Model::Decoder(bundle) => decoder(args, app, *bundle, digest).await,
        Model::Encoder(bundle) => encoder(args, app, bundle, digest).await,
    }
}

async fn decoder(args: &cli::Serve, app: &App, bundle: Bundle, digest: String) -> Result<Worker, ServeError> {
    let Bundle { language, engine, device, layers, vocabulary, adapters } = bundle;
    app.metrics.serve_adapters(adapters.iter().map(|adapter| adapter.name.clone()).collect());
    app.metrics.cache(&engine.load());
    let context_length = engine.context_length();
    let thread =
        EngineThread::start(engine, Arc::clone(&app.metrics)).map_err(|source| ServeError::Thread { source })?;
    benchmark::warm_up(&thread.handle()).await.map_err(|source| ServeError::WarmUp { source })?;
    let gate = gate(args, context_length);
    let request_timeout = Duration::from_secs(args.request_seconds.get());
    let engine = thread.handle();
    let served =
        Served { language, engine, gate, context_length, request_timeout, vocabulary: vocabulary as usize, adapters };
    app.serve(served, |status| tell(status, digest, device, layers));
    Ok(Worker::Engine(thread))
}

async fn encoder(args: &cli::Serve, app: &App, bundle: EncoderBundle, digest: String) -> Result<Worker, ServeError> {
    let EncoderBundle { tokenizer, encoder, device, layers } = bundle;
    let config = encoder.config().clone();
    let thread =
        EncoderThread::start(encoder, Arc::clone(&app.metrics)).map_err(|source| ServeError::Thread { source })?;
    benchmark::warm_up_encoder(&thread.handle(), &config).await.map_err(|source| ServeError::WarmUp { source })?;
    let gate = gate(args, config.max_tokens());
    let served = ServedEncoder { tokenizer, encoder: thread.handle(), config, gate };
    app.serve_encoder(served, |status| tell(status, digest, device, layers));
    Ok(Worker::Encoder(thread))
}

fn gate(args: &cli::Serve, context_length: usize) -> Gate {
    let max_requests = args.max_sequences.get().saturating_add(args.max_queued);
    Gate::new(max_requests, context_length.saturating_mul(QUEUED_CONTEXTS.max(args.max_sequences.get())))
}

fn tell(status: &mut ServeStatus, digest: String, device: String, layers: u32) {
    status.digest = digest;
    status.layers_offloaded = if device == "CPU" { 0 } else { layers };
    status.layers_total = layers;
    status.device = device;
}

/// Hashes the files before any of them is opened as a model; what is opened then is what was hashed. Without a digest
/// and a key they are opened as they lie. The key is read here and not before: here the isolation is proven.
async fn verify(args: &cli::Serve, app: &App) -> Result<(String, Arc<dyn Access>), ServeError> {
    if let Some(expected) = &args.digest {
        parse_digest(expected).map_err(|fault| ServeError::Digest { fault })?;
    } else if args.encryption_key_dir.is_none() {
        return Ok((String::new(), Arc::new(Plain)));
    }
    app.starting(Unready::loading("the model's digest is being verified"));
    let failed = |source| ServeError::Verify { source };
    let protection = Protection::read(None, None, args.encryption_key_dir.as_deref()).map_err(failed)?;
    let (manifest, verified) = prove(&args.model, &protection, &Progress::default()).await.map_err(failed)?;
    let (found, n_files) = (manifest.digest(), manifest.files().len());
    match &args.digest {
        Some(expected) if found != *expected => {
            Err(failed(FetchError::ManifestDigest { expected: expected.clone(), found, n_files }))
        }
        _ => Ok((found, Arc::new(verified))),
    }
}

/// The name of the model; of one that was given none that of its path, without `.gguf`.
pub(crate) fn name_of(args: &cli::Serve) -> String {
    if let Some(name) = &args.name {
        return name.clone();
    }
    let name = args.model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match name.trim_end_matches(".gguf") {
        "" => "model".to_owned(),
        name => name.to_owned(),
    }
}
