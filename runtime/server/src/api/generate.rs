//! From a validated request to running answers: admission, tokens, the engine.

use std::{
    hash::{BuildHasher, Hasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use alcazar_core::AdapterId;
use alcazar_engine::{Constraint, Permit, Request};
use alcazar_text::Expected;
use tokio::time::Instant;

use super::{ApiError, fields::Fields, knobs::Knobs, structured::Asked};
use crate::{
    answer::{Answer, Answers, Echo, Telling},
    app::{App, Named, Served},
    constraint::GrammarConstraint,
    language::{Encoded, Input, Language, LanguageError},
};

/// Below this a prompt is tokenized in well under a millisecond, and another thread is not worth its hand-over.
const INLINE_BYTES: usize = 16 << 10;

/// What is asked of the model, checked as far as it can be without it.
pub(super) struct Job {
    /// At least one.
    pub inputs: Vec<Input>,
    /// What they are computed with beside the model.
    pub adapter: Option<AdapterId>,
    /// The field that holds them.
    pub field: &'static str,
    /// Whether answers begin with their prompts.
    pub echo: bool,
    pub knobs: Knobs,
    /// What answers must look like.
    pub grammar: Option<Asked>,
    /// What is looked for in answers, where they are taken apart.
    pub expected: Expected,
    pub is_parsed: bool,
    /// Size of the request, which bounds the queue before anything is tokenized.
    pub body_bytes: usize,
}

impl Job {
    /// One answer to each input, as it comes.
    pub(super) fn new(inputs: Vec<Input>) -> Self {
        Self {
            inputs,
            adapter: None,
            field: "prompt",
            echo: false,
            knobs: Knobs::default(),
            grammar: None,
            expected: Expected::default(),
            is_parsed: false,
            body_bytes: 0,
        }
    }
}

/// Answers that have begun.
pub(super) struct Started {
    pub answers: Answers,
    /// What to look for in them.
    pub expected: Expected,
}

/// Looks for the name in a request among what is served.
pub(super) fn check_model(fields: &mut Fields, app: &App) -> Result<Named, ApiError> {
    let missing = || ApiError::field("model", "missing_required_parameter", "is missing; name the model to use");
    check_model_if_named(fields, app)?.ok_or_else(missing)
}

/// The same for routes that work without.
pub(super) fn check_model_if_named(fields: &mut Fields, app: &App) -> Result<Option<Named>, ApiError> {
    let Some(name) = fields.string("model")? else { return Ok(None) };
    app.named(name).map(Some).ok_or_else(|| ApiError::unknown_model(&app.names()))
}

/// From a job to running answers. Places are taken before the text is touched: a full queue must cost nothing.
pub(super) async fn start(served: &Served, job: Job) -> Result<Started, ApiError> {
    let deadline = Instant::now() + served.request_timeout;
    let mut permits = enter(served, &job)?.into_iter();
    let encoded = encode(served, &job.inputs, job.field, job.body_bytes).await?;
    let format = served.language.format();
    let rendered = encoded.first().map(|encoded| encoded.rendered.as_str()).unwrap_or_default();
    let starts_thinking = job.is_parsed && format.starts_thinking(rendered);
    let constraint = constraint(served, &job, starts_thinking).await?;
    served.engine.asked(job.knobs.n);
    let marks = if job.is_parsed { format.marks() } else { &[] };
    let mut choices = Vec::new();
    for (input, encoded) in job.inputs.iter().zip(encoded) {
        for nth in 0..job.knobs.n {
            let mut request = request(served, &job, &encoded, nth);
            request.constraint = constraint.as_ref().map(Constraint::boxed_clone);
            let generation = served.engine.submit(request, permits.next()).await;
            let generation =
                generation.map_err(|error| ApiError::submit(error, job.field, job.knobs.max_tokens_field))?;
            let telling = telling(served, &job, input, &encoded);
            choices.push(Answer::new(generation, served.language.writer(marks), telling, encoded.tokens.len()));
        }
    }
    let answers = Answers::new(choices, job.knobs.n, deadline);
    Ok(Started { answers, expected: Expected { starts_thinking, ..job.expected } })
}

/// Compiles the grammar on a thread that nobody waits for.
async fn constraint(served: &Served, job: &Job, starts_thinking: bool) -> Result<Option<GrammarConstraint>, ApiError> {
    let Some(Asked { grammar, field }) = job.grammar.clone() else { return Ok(None) };
    let language = Arc::clone(&served.language);
    let compiled = tokio::task::spawn_blocking(move || language.compile(&grammar)).await;
    let state = compiled.map_err(|_| ApiError::failed())?.map_err(|error| ApiError::grammar(&error, &field))?;
    Ok(Some(if starts_thinking {
        GrammarConstraint::after_thoughts(state, Arc::clone(&served.language))
    } else {
        GrammarConstraint::new(state)
    }))
}

fn enter(served: &Served, job: &Job) -> Result<Vec<Permit>, ApiError> {
    let (n_answers, capacity) = (job.inputs.len().saturating_mul(job.knobs.n), served.gate.capacity());
    if n_answers > capacity {
        let field = if job.knobs.n > 1 { "n" } else { job.field };
        let message = format!(
            "asks for {n_answers} answers in one request; this server takes {capacity} at a time, ask for fewer"
        );
        return Err(ApiError::field(field, "invalid_value", message));
    }
    // Four bytes per token is the usual measure for text; it only has to bound the queue.
    Ok(served.gate.try_enter_many(n_answers, job.body_bytes.div_ceil(4))?)
}

/// The tokens of prompts; large ones are tokenized on another thread.
pub(super) async fn encode(
    served: &Served,
    inputs: &[Input],
    field: &'static str,
    body_bytes: usize,
) -> Result<Vec<Encoded>, ApiError> {
    let encoded = if body_bytes <= INLINE_BYTES {
        encode_all(&*served.language, inputs)
    } else {
        let (language, inputs) = (Arc::clone(&served.language), inputs.to_vec());
        let encoded = tokio::task::spawn_blocking(move || encode_all(&*language, &inputs)).await;
        encoded.map_err(|_| ApiError::failed())?
    };
    encoded.map_err(|error| ApiError::language(&error, field))
}

fn encode_all(language: &dyn Language, inputs: &[Input]) -> Result<Vec<Encoded>, LanguageError> {
    inputs.iter().map(|input| language.encode(input)).collect()
}

fn request(served: &Served, job: &Job, encoded: &Encoded, nth: usize) -> Request {
    let knobs = &job.knobs;
    let mut sampling = knobs.sampling.clone();
    // The first answer is the one that the seed gives alone.
    sampling.seed = sampling.seed.map(|seed| seed.wrapping_add(nth as u64));
    let mut stop_tokens = if knobs.ignore_eos { vec![] } else { served.language.stop_tokens() };
    stop_tokens.extend(&knobs.stop_tokens);
    // A prompt that is only told back goes through the model all the same, which checks it.
    let only_prompt = knobs.max_tokens == Some(0);
    let scores_prompt = job.echo && (knobs.logprobs.is_some() || only_prompt);
    Request {
        prompt: encoded.tokens.clone(),
        max_tokens: knobs.max_tokens,
        min_tokens: knobs.min_tokens,
        sampling,
        stop_tokens,
        logprobs: knobs.logprobs.or(scores_prompt.then_some(0)),
        scores_prompt,
        constraint: None,
        adapter: job.adapter,
        cache_salt: knobs.cache_salt.clone(),
        tenant: knobs.user.clone(),
        computes_all: false,
    }
}

fn telling(served: &Served, job: &Job, input: &Input, encoded: &Encoded) -> Telling {
    let text = || match input {
        Input::Text { text, .. } => text.clone(),
        Input::Tokens(tokens) => served.language.text(tokens),
        Input::Chat(_) => encoded.rendered.clone(),
    };
    Telling {
        stops: job.knobs.stops.clone(),
        min_tokens: job.knobs.min_tokens,
        with_logprobs: job.knobs.logprobs.is_some(),
        echo: job.echo.then(|| Echo { text: text(), tokens: encoded.tokens.clone() }),
    }
}

/// What every answer and chunk begins with.
pub(super) struct Header {
    pub id: String,
    pub created: u64,
    pub model: String,
}

impl Header {
    pub(super) fn new(prefix: &str, model: String) -> Self {
        let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { id: new_id(prefix), created, model }
    }
}

/// A name that no other answer has.
pub(super) fn new_id(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(NEXT.fetch_add(1, Ordering::Relaxed));
    format!("{prefix}-{:016x}", hasher.finish())
}
