//! What chat and plain completions share: the knobs of a request, admission, and the way to the engine.

use std::{
    hash::{BuildHasher, Hasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use alcazar_core::TokenId;
use alcazar_engine::{Permit, Request, Sampling};

use super::{
    ApiError,
    fields::{Fields, Unserved, empty, never},
};
use crate::{
    answer::Answer,
    app::{App, Served},
    language::{Language, LanguageError},
};

const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 1024;
/// Below this a prompt is tokenized in well under a millisecond, and another thread is not worth its hand-over.
const INLINE_BYTES: usize = 16 << 10;

/// What both routes refuse unless it asks for nothing.
const UNSERVED: [Unserved; 14] = [
    ("tools", empty),
    ("functions", empty),
    ("function_call", |value| value == "none" || value == "auto"),
    ("tool_choice", |value| value == "none" || value == "auto"),
    ("top_logprobs", empty),
    ("response_format", |value| value["type"] == "text"),
    ("logit_bias", empty),
    ("modalities", |value| value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text"))),
    ("audio", never),
    ("prediction", never),
    ("web_search_options", never),
    ("min_tokens", empty),
    ("structured_outputs", empty),
    ("continue_final_message", empty),
];

/// Knobs of a generation, as parsed from a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Knobs {
    pub sampling: Sampling,
    pub stops: Vec<String>,
    pub ignore_eos: bool,
    pub max_tokens: Option<usize>,
    /// Which of its two names the client used for it.
    pub max_tokens_field: &'static str,
    pub is_stream: bool,
    pub with_usage: bool,
}

impl Knobs {
    /// Takes the knobs out of the fields and refuses what is not served.
    pub(super) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        fields.refuse(&UNSERVED)?;
        if let Some(n) = fields.integer("n", 1..=128)?
            && n != 1
        {
            return Err(ApiError::field(
                "n",
                "unsupported_value",
                "must be 1: this server gives one answer per request",
            ));
        }
        let max_completion_tokens = tokens(fields, "max_completion_tokens")?;
        let max_tokens = tokens(fields, "max_tokens")?;
        let max_tokens_field = if max_completion_tokens.is_some() { "max_completion_tokens" } else { "max_tokens" };
        let is_stream = fields.bool("stream")?.unwrap_or(false);
        let with_usage = match fields.object("stream_options")? {
            Some(_) if !is_stream => {
                return Err(ApiError::field(
                    "stream_options",
                    "invalid_value",
                    "is only allowed when 'stream' is true",
                ));
            }
            Some(mut options) => options.bool("include_usage")?.unwrap_or(false),
            None => false,
        };
        Ok(Self {
            sampling: sampling(fields)?,
            stops: stops(fields)?,
            ignore_eos: fields.bool("ignore_eos")?.unwrap_or(false),
            max_tokens: max_completion_tokens.or(max_tokens),
            max_tokens_field,
            is_stream,
            with_usage,
        })
    }
}

fn tokens(fields: &mut Fields, name: &str) -> Result<Option<usize>, ApiError> {
    Ok(fields.integer(name, 1..=i64::from(u32::MAX))?.and_then(|tokens| usize::try_from(tokens).ok()))
}

fn sampling(fields: &mut Fields) -> Result<Sampling, ApiError> {
    let default = Sampling::default();
    let top_k = fields.integer("top_k", -1..=i64::from(u32::MAX))?;
    Ok(Sampling {
        temperature: fields.number("temperature", 0.0..=2.0)?.unwrap_or(default.temperature),
        // -1 and 0 both say: all.
        top_k: top_k.and_then(|top_k| usize::try_from(top_k).ok()).unwrap_or(default.top_k),
        top_p: fields.number("top_p", f32::MIN_POSITIVE..=1.0).map_err(above_zero)?.unwrap_or(default.top_p),
        min_p: fields.number("min_p", 0.0..=1.0)?.unwrap_or(default.min_p),
        seed: fields.integer("seed", i64::MIN..=i64::MAX)?.map(i64::cast_unsigned),
        repetition_penalty: fields.number("repetition_penalty", 0.01..=100.0)?.unwrap_or(default.repetition_penalty),
        frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?.unwrap_or(default.frequency_penalty),
        presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?.unwrap_or(default.presence_penalty),
    })
}

fn above_zero(error: ApiError) -> ApiError {
    match error.code() {
        "invalid_value" => ApiError::field("top_p", "invalid_value", "must be above 0 and at most 1"),
        _ => error,
    }
}

fn stops(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let stops = fields.strings("stop")?;
    if stops.len() > MAX_STOPS {
        return Err(ApiError::field("stop", "invalid_value", format!("must hold at most {MAX_STOPS} strings")));
    }
    match stops.iter().position(|stop| stop.is_empty() || stop.len() > MAX_STOP_BYTES) {
        None => Ok(stops),
        Some(n) => {
            let message = format!("must have at least 1 and at most {MAX_STOP_BYTES} bytes");
            Err(ApiError::field(format!("stop[{n}]"), "invalid_value", message))
        }
    }
}

/// Compares the name in a request with the model that is served.
pub(super) fn check_model(fields: &mut Fields, app: &App) -> Result<(), ApiError> {
    match fields.string("model")? {
        Some(name) if name == app.model_name => Ok(()),
        Some(_) => Err(ApiError::unknown_model(&app.model_name)),
        None => Err(ApiError::field("model", "missing_required_parameter", "is missing; name the model to use")),
    }
}

/// The prompt of a request, still text or already tokens.
pub(super) trait Prompt: Send + 'static {
    /// The field that holds it.
    const FIELD: &'static str;

    fn tokens(&self, language: &dyn Language) -> Result<Vec<TokenId>, LanguageError>;
}

/// Takes a place before the text is touched: a full queue must cost nothing.
pub(super) fn enter(served: &Served, body_bytes: usize) -> Result<Permit, ApiError> {
    // Four bytes per token is the usual measure for text; it only has to bound the queue.
    Ok(served.gate.try_enter(body_bytes.div_ceil(4))?)
}

/// From a prompt to a running answer.
pub(super) async fn start<P: Prompt>(
    served: &Served,
    permit: Permit,
    prompt: P,
    knobs: &Knobs,
    body_bytes: usize,
) -> Result<Answer, ApiError> {
    let language = Arc::clone(&served.language);
    let tokens = if body_bytes <= INLINE_BYTES {
        prompt.tokens(&*language)
    } else {
        let tokenized = tokio::task::spawn_blocking(move || prompt.tokens(&*language)).await;
        tokenized.map_err(|_| ApiError::failed())?
    }
    .map_err(|error| ApiError::language(&error, P::FIELD))?;
    let prompt_tokens = tokens.len();
    let request = Request {
        prompt: tokens,
        max_tokens: knobs.max_tokens,
        sampling: knobs.sampling.clone(),
        stop_tokens: if knobs.ignore_eos { vec![] } else { served.language.stop_tokens() },
    };
    let generation = served
        .engine
        .submit(request, Some(permit))
        .await
        .map_err(|error| ApiError::submit(error, P::FIELD, knobs.max_tokens_field))?;
    Ok(Answer::new(generation, served.language.writer(), knobs.stops.clone(), prompt_tokens))
}

/// What every answer and chunk begins with.
pub(super) struct Header {
    pub id: String,
    pub created: u64,
    pub model: String,
}

impl Header {
    pub(super) fn new(prefix: &str, app: &App) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(NEXT.fetch_add(1, Ordering::Relaxed));
        let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { id: format!("{prefix}-{:016x}", hasher.finish()), created, model: app.model_name.clone() }
    }
}
