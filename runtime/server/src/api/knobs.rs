//! Pure: the knobs of a generation, as routes share them.

use alcazar_core::TokenId;
use alcazar_engine::Sampling;
use serde_json::Value;

use super::{
    ApiError,
    fields::{Fields, Unserved, empty, never},
};

const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 1024;
const MAX_STOP_TOKENS: usize = 64;
const MAX_BIASES: usize = 1024;
/// Answers to one prompt; the queue may bound them further.
const MAX_N: i64 = 128;

/// What every route refuses unless it asks for nothing.
const UNSERVED: [Unserved; 15] = [
    ("functions", empty),
    ("function_call", |value| value == "none" || value == "auto"),
    ("modalities", |value| value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text"))),
    ("audio", never),
    ("prediction", never),
    ("web_search_options", never),
    ("continue_final_message", empty),
    ("use_beam_search", empty),
    ("include_stop_str_in_output", empty),
    ("prompt_logprobs", empty),
    ("bad_words", empty),
    ("allowed_token_ids", empty),
    ("truncate_prompt_tokens", empty),
    ("logits_processors", empty),
    ("best_of", |value| *value == 1 || empty(value)),
];

/// Knobs of a generation, as parsed from a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Knobs {
    pub sampling: Sampling,
    pub stops: Vec<String>,
    pub stop_tokens: Vec<TokenId>,
    pub ignore_eos: bool,
    pub min_tokens: usize,
    pub max_tokens: Option<usize>,
    /// Which of its names the client used for it.
    pub max_tokens_field: &'static str,
    /// Answers to each prompt.
    pub n: usize,
    pub is_stream: bool,
    pub with_usage: bool,
    /// Probabilities of tokens, and of how many of the likeliest in their place. Routes word this differently.
    pub logprobs: Option<usize>,
    /// Only requests with the same one share the cache of prompts.
    pub cache_salt: Option<String>,
    /// Takes turns with others in the queue.
    pub user: Option<String>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            stops: vec![],
            stop_tokens: vec![],
            ignore_eos: false,
            min_tokens: 0,
            max_tokens: None,
            max_tokens_field: "max_tokens",
            n: 1,
            is_stream: false,
            with_usage: false,
            logprobs: None,
            cache_salt: None,
            user: None,
        }
    }
}

impl Knobs {
    /// Takes the knobs out of the fields and refuses what is not served. `least_tokens`: how few may be asked for.
    pub(super) fn take(fields: &mut Fields, least_tokens: i64) -> Result<Self, ApiError> {
        fields.refuse(&UNSERVED)?;
        labels(fields)?;
        let max_completion_tokens = tokens(fields, "max_completion_tokens", least_tokens)?;
        let max_tokens = tokens(fields, "max_tokens", least_tokens)?;
        let max_tokens_field = if max_completion_tokens.is_some() { "max_completion_tokens" } else { "max_tokens" };
        let (is_stream, with_usage) = stream(fields)?;
        Ok(Self {
            n: fields.integer("n", 1..=MAX_N)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
            sampling: sampling(fields)?,
            stops: stops(fields)?,
            stop_tokens: stop_tokens(fields)?,
            ignore_eos: fields.bool("ignore_eos")?.unwrap_or(false),
            min_tokens: tokens(fields, "min_tokens", 0)?.unwrap_or(0),
            max_tokens: max_completion_tokens.or(max_tokens),
            max_tokens_field,
            is_stream,
            with_usage,
            logprobs: None,
            cache_salt: fields.string("cache_salt")?,
            user: fields.string("user")?,
        })
    }
}

/// What OpenAI keeps for its own books: checked, and nothing follows from it here.
fn labels(fields: &mut Fields) -> Result<(), ApiError> {
    for name in ["safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier", "verbosity"] {
        fields.string(name)?;
    }
    fields.object("metadata")?;
    fields.bool("store")?;
    Ok(())
}

fn stream(fields: &mut Fields) -> Result<(bool, bool), ApiError> {
    let is_stream = fields.bool("stream")?.unwrap_or(false);
    let options = fields.object("stream_options")?;
    if options.is_some() && !is_stream {
        return Err(ApiError::field("stream_options", "invalid_value", "is only allowed when 'stream' is true"));
    }
    let Some(mut options) = options else { return Ok((is_stream, false)) };
    let with_usage = options.bool("include_usage").map_err(|error| error.within("stream_options"))?;
    Ok((is_stream, with_usage.unwrap_or(false)))
}

fn tokens(fields: &mut Fields, name: &str, least: i64) -> Result<Option<usize>, ApiError> {
    Ok(fields.integer(name, least..=i64::from(u32::MAX))?.and_then(|tokens| usize::try_from(tokens).ok()))
}

fn sampling(fields: &mut Fields) -> Result<Sampling, ApiError> {
    let default = Sampling::default();
    let top_k = fields.integer("top_k", -1..=i64::from(u32::MAX))?;
    Ok(Sampling {
        temperature: fields.number("temperature", 0.0..=2.0)?.unwrap_or(default.temperature),
        // -1 and 0 both say: all.
        top_k: top_k.and_then(|top_k| usize::try_from(top_k).ok()).unwrap_or(default.top_k),
        top_p: share(fields, "top_p")?.unwrap_or(default.top_p),
        min_p: fields.number("min_p", 0.0..=1.0)?.unwrap_or(default.min_p),
        typical_p: share(fields, "typical_p")?.unwrap_or(default.typical_p),
        seed: fields.integer("seed", i64::MIN..=i64::MAX)?.map(i64::cast_unsigned),
        repetition_penalty: fields.number("repetition_penalty", 0.01..=10.0)?.unwrap_or(default.repetition_penalty),
        frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?.unwrap_or(default.frequency_penalty),
        presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?.unwrap_or(default.presence_penalty),
        logit_bias: biases(fields)?,
    })
}

/// Above 0 and at most 1.
fn share(fields: &mut Fields, name: &str) -> Result<Option<f32>, ApiError> {
    fields.number(name, f32::MIN_POSITIVE..=1.0).map_err(|error| match error.code() {
        "invalid_value" => ApiError::field(name, "invalid_value", "must be above 0 and at most 1"),
        _ => error,
    })
}

fn biases(fields: &mut Fields) -> Result<Vec<(TokenId, f32)>, ApiError> {
    let Some(biases) = fields.object("logit_bias")? else { return Ok(vec![]) };
    let biases = biases.into_map();
    if biases.len() > MAX_BIASES {
        let message = format!("must hold at most {MAX_BIASES} tokens");
        return Err(ApiError::field("logit_bias", "invalid_value", message));
    }
    let parse = |(token, bias): (String, Value)| {
        let token = token.parse().map(TokenId).ok();
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        let bias = bias.as_f64().filter(|bias| (-100.0..=100.0).contains(bias)).map(|bias| bias as f32);
        token.zip(bias).ok_or_else(|| {
            let message = "must give tokens, as numbers in quotes, a bias from -100 to 100 each";
            ApiError::field("logit_bias", "invalid_value", message)
        })
    };
    biases.into_iter().map(parse).collect()
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

fn stop_tokens(fields: &mut Fields) -> Result<Vec<TokenId>, ApiError> {
    let tokens = match fields.array("stop_token_ids")? {
        None => return Ok(vec![]),
        Some(items) => parse_tokens("stop_token_ids", &items)?,
    };
    if tokens.len() > MAX_STOP_TOKENS {
        let message = format!("must hold at most {MAX_STOP_TOKENS} tokens");
        return Err(ApiError::field("stop_token_ids", "invalid_value", message));
    }
    Ok(tokens)
}

/// Tokens as their numbers.
pub(super) fn parse_tokens(place: &str, items: &[Value]) -> Result<Vec<TokenId>, ApiError> {
    let parse = |(n, item): (usize, &Value)| match item.as_u64().and_then(|token| u32::try_from(token).ok()) {
        Some(token) => Ok(TokenId(token)),
        None => {
            Err(ApiError::field(format!("{place}[{n}]"), "invalid_type", "must be a token, an integer of at least 0"))
        }
    };
    items.iter().enumerate().map(parse).collect()
}
