//! Opens a model on the device: files, text rules, weights, cache, engine. Blocking.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
};

use alcazar_core::{AdapterSource, BackendError, CacheShape, DecoderConfig, Encoder};
use alcazar_engine::{Engine, EngineConfig, Speculation};
use alcazar_formats::{Access, Adapter, Class, Facts, ModelConfig, ModelFiles};
use alcazar_text::{ChatTemplate, TemplateError, Tokenizer, TokenizerError};

use crate::{
    adapters::{self, AdaptersError},
    device::Device,
};

/// Tokens per block of the cache: small enough to waste little, large enough to be read in one stretch.
const BLOCK_TOKENS: usize = 16;
/// Without a memory limit the cache gets this, or what one whole context needs.
const DEFAULT_CACHE_BYTES: u64 = 1 << 30;
/// Rows of one forward pass: a prompt is computed in such pieces, and nobody who reads waits longer than one takes.
const STEP_TOKENS: usize = 256;

/// What the operator or the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadOptions {
    /// Threads that compute.
    pub n_threads: NonZeroUsize,
    /// Longest context to serve; `None`: the model's own, as far as the cache holds it.
    pub context_length: Option<usize>,
    pub max_sequences: usize,
    pub max_queued: usize,
    /// Memory for keys and values; `None`: no limit is known.
    pub cache_bytes: Option<u64>,
}

/// A model that is ready to run.
pub(crate) struct Loaded {
    pub facts: Facts,
    pub tokenizer: Arc<Tokenizer>,
    pub model: LoadedModel,
    /// `CPU`, or the name of the GPU.
    pub device: String,
}

/// What only one kind of model has.
pub(crate) enum LoadedModel {
    Decoder { engine: Box<Engine>, template: Option<Box<ChatTemplate>> },
    Encoder(Box<dyn Encoder>),
}

/// Why a model is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{source}")]
    Files { source: alcazar_formats::Error },
    #[error("{source}")]
    Adapters { source: AdaptersError },
    #[error("{source}")]
    Tokenizer { source: TokenizerError },
    #[error("{source}")]
    Template { source: TemplateError },
    #[error("failed to open the compute device: {source}")]
    Device { source: BackendError },
    #[error("{}", chain(source))]
    Model { source: alcazar_models::LoadError },
    #[error(
        "failed to fit the cache: {wanted} tokens of context need {needed_bytes} bytes of keys and values and the memory \
         limit leaves {given_bytes}; raise resources.memory or lower runtime.contextLength"
    )]
    Cache { wanted: usize, needed_bytes: u64, given_bytes: u64 },
}

impl LoadError {
    /// CamelCase; the operator knows these words.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Files { source } => reason_of(source.class()),
            Self::Adapters { source } => reason_of(source.class()),
            Self::Tokenizer { .. } | Self::Template { .. } | Self::Model { .. } => "InvalidModel",
            Self::Device { .. } => "DeviceUnavailable",
            Self::Cache { .. } => "OutOfMemory",
        }
    }
}

fn reason_of(class: Class) -> &'static str {
    match class {
        Class::Invalid => "InvalidModel",
        Class::Unsupported => "UnsupportedModel",
        Class::Unreadable => "VolumeFailed",
    }
}

/// Opens a model file or directory, with its adapters.
pub(crate) fn load(
    access: &dyn Access,
    path: &Path,
    options: &LoadOptions,
    adapters: &[Adapter],
) -> Result<Loaded, LoadError> {
    let files = alcazar_formats::open_with(access, path).map_err(|source| LoadError::Files { source })?;
    let device = Device::open(options.n_threads).map_err(|source| LoadError::Device { source })?;
    let device_name = device.name();
    // The tokenizer is built while the weights are read: both take a good part of the whole.
    let (tokenizer, model) = std::thread::scope(|scope| {
        let tokenizer = scope.spawn(|| Tokenizer::open(&files));
        let model = open_weights(device, &files, options, adapters);
        (tokenizer.join(), model)
    });
    let tokenizer = tokenizer.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let tokenizer = Arc::new(tokenizer.map_err(|source| LoadError::Tokenizer { source })?);
    let model = match model? {
        Weights::Decoder(engine) => {
            let template = ChatTemplate::open(&files, &tokenizer).map_err(|source| LoadError::Template { source })?;
            LoadedModel::Decoder { engine, template: template.map(Box::new) }
        }
        Weights::Encoder(encoder) => LoadedModel::Encoder(encoder),
    };
    Ok(Loaded { facts: files.facts().clone(), tokenizer, model, device: device_name.to_owned() })
}

enum Weights {
    Decoder(Box<Engine>),
    Encoder(Box<dyn Encoder>),
}

fn open_weights(
    device: Device,
    files: &ModelFiles,
    options: &LoadOptions,
    adapters: &[Adapter],
) -> Result<Weights, LoadError> {
    let failed = |source| LoadError::Model { source };
    let config = match files.config() {
        ModelConfig::Encoder(config) => {
            adapters::refuse_for_encoder(adapters).map_err(|source| LoadError::Adapters { source })?;
            return device.load_encoder(config, files).map(Weights::Encoder).map_err(failed);
        }
        ModelConfig::Decoder(config) => config,
    };
    let (shape, context_length) = plan_cache(files.facts(), device.cache_bytes_per_token(config), options)?;
    // On CPUs a pass over four rows takes about twice as long as over one: guesses pay only where most come true, and
    // whether they do was not measured.
    let speculation = if matches!(device, Device::Cpu(_)) { Speculation::OFF } else { Speculation::default() };
    let sources: Vec<_> = adapters.iter().map(|adapter| adapter as &dyn AdapterSource).collect();
    // What depends on the length follows the context that is served.
    let config = DecoderConfig { context_length, ..config.as_ref().clone() };
    let model = device.load(&config, files, shape, &sources).map_err(failed)?;
    let config = EngineConfig {
        max_sequences: options.max_sequences,
        max_queued: options.max_queued,
        max_queued_tokens: usize::MAX,
        step_tokens: STEP_TOKENS,
        context_length,
        // The hasher's keys are random: unseeded requests shall differ between replicas and restarts.
        seed: RandomState::new().build_hasher().finish(),
        speculation,
    };
    Ok(Weights::Decoder(Box::new(Engine::new(model, config))))
}

/// As much cache as pays: whole contexts for all sequences, within the memory. A context that was asked for must fit;
/// the model's own is shortened to what does.
fn plan_cache(facts: &Facts, per_token: u64, options: &LoadOptions) -> Result<(CacheShape, usize), LoadError> {
    let made_for = usize::try_from(facts.context_length).unwrap_or(usize::MAX).max(BLOCK_TOKENS);
    let wanted = options.context_length.unwrap_or(made_for).min(made_for);
    let per_token = per_token.max(1);
    let needed_bytes = per_token.saturating_mul(wanted as u64);
    let given_bytes = options.cache_bytes.unwrap_or_else(|| DEFAULT_CACHE_BYTES.max(needed_bytes));
    let fitting = usize::try_from(given_bytes / per_token).unwrap_or(usize::MAX) / BLOCK_TOKENS;
    let n_blocks = fitting.min(wanted.div_ceil(BLOCK_TOKENS).saturating_mul(options.max_sequences.max(1)));
    let holds = n_blocks.saturating_mul(BLOCK_TOKENS);
    if n_blocks == 0 || (options.context_length.is_some() && holds < wanted) {
        return Err(LoadError::Cache { wanted, needed_bytes, given_bytes });
    }
    if holds < wanted {
        tracing::warn!(context = holds, made_for, "memory limits the context; raise resources.memory for more");
    }
    Ok((CacheShape { n_blocks, block_tokens: BLOCK_TOKENS }, wanted.min(holds)))
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use alcazar_formats::Format;

    use super::*;

    fn facts() -> Facts {
        Facts {
            format: Format::Gguf,
            architecture: "llama".to_owned(),
            task: "text-generation".to_owned(),
            name: String::new(),
            parameter_count: 0,
            context_length: 1000,
            tensor_count: 0,
            size_bytes: 0,
            weight_types: vec![],
            served_bytes: vec![],
            layers: 1,
            vocabulary: 0,
            tokenizer: String::new(),
            has_chat_template: false,
            cache_bytes_per_token: 100,
            refused: vec![],
        }
    }

    #[test]
    fn the_cache_follows_memory_and_use() {
        let plan = |context_length, max_sequences, cache_bytes| {
            let n_threads = NonZeroUsize::MIN;
            let options = LoadOptions { n_threads, context_length, max_sequences, max_queued: 1, cache_bytes };
            plan_cache(&facts(), 100, &options)
                .map(|(shape, context)| (shape.n_blocks, context))
                .map_err(|error| error.reason())
        };
        assert_eq!(plan(None, 2, None), Ok((126, 1000)), "two whole contexts");
        assert_eq!(plan(None, 2, Some(110_000)), Ok((68, 1000)), "one and a bit");
        assert_eq!(plan(None, 2, Some(50_000)), Ok((31, 496)), "less than one: the context is shortened");
        assert_eq!(plan(Some(400), 2, Some(50_000)), Ok((31, 400)));
        assert_eq!(plan(Some(5000), 1, None), Ok((63, 1000)), "never more than the model was made for");
        assert_eq!(plan(Some(600), 2, Some(50_000)), Err("OutOfMemory"), "what was asked for is not shortened");
        assert_eq!(plan(None, 2, Some(1000)), Err("OutOfMemory"));
    }
}
