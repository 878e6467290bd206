//! What the routes of encoders share: texts out of a request, tokens, the encoder, and rows back.

mod classify;
mod embeddings;
mod fill_mask;
mod question;
mod rerank;
mod scores;

use std::sync::Arc;

use alcazar_core::{EncoderConfig, Head, TokenId};
use alcazar_engine::packer;
use alcazar_text::{EncodedText, Tokenizer};
use axum::extract::Request;
use serde_json::{Value, json};

pub(super) use self::{
    classify::handle as classify, embeddings::handle as embeddings, fill_mask::handle as fill_mask,
    question::handle as question_answering, rerank::handle as rerank,
};
use super::{
    ApiError, body,
    fields::{Fields, wrong_type},
    generate::check_model,
    knobs::parse_tokens,
};
use crate::{
    app::{App, ServedEncoder},
    encoder_thread::Rows,
};

/// As many as OpenAI's API takes.
const MAX_TEXTS: usize = 2048;
/// Below this a request is tokenized in well under a millisecond, and another thread is not worth its hand-over.
const INLINE_BYTES: usize = 16 << 10;

/// A text of a request.
#[derive(Clone, Debug, PartialEq)]
enum Input {
    Text { first: String, second: Option<String> },
    Tokens(Vec<TokenId>),
}

/// A request to an encoder, read and admitted as far as its name goes.
struct Asked<'a> {
    served: &'a ServedEncoder,
    fields: Fields,
    body_bytes: usize,
    /// Whether texts that are too long are cut.
    truncate: bool,
}

async fn read(app: &App, request: Request) -> Result<Asked<'_>, ApiError> {
    let served = app.ready_encoder()?;
    let (head, body) = request.into_parts();
    let (object, body_bytes) = body::read(&app.bodies, &head.headers, body).await?;
    let mut fields = Fields::new(object);
    check_model(&mut fields, app)?;
    let truncate = fields.bool("truncate")?.unwrap_or(false);
    // vLLM's name for it; it can only be cut to what the model reads.
    let cut = fields.integer("truncate_prompt_tokens", -1..=i64::from(u32::MAX))?;
    Ok(Asked { served, fields, body_bytes, truncate: truncate || cut.is_some() })
}

/// The texts of `input`, as OpenAI's API and those of other servers write them: one or a list, as text or tokens; where
/// pairs make sense, a list of two texts is one.
fn inputs(fields: &mut Fields, takes_pairs: bool) -> Result<Vec<Input>, ApiError> {
    let text = |first: String| Input::Text { first, second: None };
    let inputs = match fields.take("input") {
        None => return Err(ApiError::field("input", "missing_required_parameter", "is missing")),
        Some(Value::String(one)) => vec![text(one)],
        Some(Value::Array(items)) if matches!(items.first(), Some(Value::Number(_))) => {
            vec![Input::Tokens(parse_tokens("input", &items)?)]
        }
        Some(Value::Array(items)) => {
            items.into_iter().enumerate().map(|(n, item)| input(n, item, takes_pairs)).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(wrong_type("input", "a string or a list", &other)),
    };
    match inputs.len() {
        0 => Err(ApiError::field("input", "invalid_value", "must not be empty")),
        n if n > MAX_TEXTS => {
            Err(ApiError::field("input", "invalid_value", format!("has {n} texts, this server takes {MAX_TEXTS}")))
        }
        _ => Ok(inputs),
    }
}

fn input(n: usize, item: Value, takes_pairs: bool) -> Result<Input, ApiError> {
    let place = format!("input[{n}]");
    match item {
        Value::String(first) => Ok(Input::Text { first, second: None }),
        Value::Array(items) => match (items.as_slice(), takes_pairs) {
            ([Value::String(first), Value::String(second)], true) => {
                Ok(Input::Text { first: first.clone(), second: Some(second.clone()) })
            }
            _ => Ok(Input::Tokens(parse_tokens(&place, &items)?)),
        },
        other => Err(wrong_type(&place, "a string or a list of tokens", &other)),
    }
}

/// Texts as tokens, and what the encoder made of them.
struct Encoded {
    texts: Vec<EncodedText>,
    rows: Vec<Rows>,
}

impl Encoded {
    fn usage(&self) -> Value {
        let n_tokens: usize = self.texts.iter().map(|text| text.tokens.len()).sum();
        json!({"prompt_tokens": n_tokens, "total_tokens": n_tokens})
    }
}

/// From texts to rows. A place is taken before the text is touched: a full queue must cost nothing.
async fn encode(
    asked: &Asked<'_>,
    field: &'static str,
    inputs: Vec<Input>,
    wanted: fn(&EncodedText, &Tokenizer) -> Vec<usize>,
) -> Result<Encoded, ApiError> {
    // Four bytes per token is the usual measure for text; it only has to bound the queue.
    let permit = asked.served.gate.try_enter(asked.body_bytes.div_ceil(4))?;
    let work = Work {
        tokenizer: Arc::clone(&asked.served.tokenizer),
        most: asked.served.config.max_tokens(),
        truncate: asked.truncate,
        prompt: prompt(&asked.served.config),
        field,
    };
    let texts = if asked.body_bytes <= INLINE_BYTES {
        work.texts(inputs)
    } else {
        tokio::task::spawn_blocking(move || work.texts(inputs)).await.map_err(|_| ApiError::failed())?
    }?;
    check_tokens(&texts, &asked.served.config, field)?;
    let to_run = texts.iter().map(|text| packer::Text {
        tokens: text.tokens.clone(),
        types: types(text, &asked.served.config),
        wanted: wanted(text, &asked.served.tokenizer),
    });
    let rows = asked.served.encoder.encode(to_run.collect(), Some(permit)).await?;
    Ok(Encoded { texts, rows })
}

/// Heads of whole texts want no token.
fn none(_: &EncodedText, _: &Tokenizer) -> Vec<usize> {
    vec![]
}

/// Models with one type or none have nothing to tell texts of a pair apart by.
fn types(text: &EncodedText, config: &EncoderConfig) -> Vec<u32> {
    if config.n_types > 1 { text.types.clone() } else { vec![0; text.tokens.len()] }
}

fn check_tokens(texts: &[EncodedText], config: &EncoderConfig, field: &'static str) -> Result<(), ApiError> {
    for (n, text) in texts.iter().enumerate() {
        if text.tokens.is_empty() {
            return Err(ApiError::field(format!("{field}[{n}]"), "invalid_value", "must not be empty"));
        }
        if text.tokens.iter().any(|token| *token as usize >= config.vocabulary) {
            let message = format!("holds a token beyond the vocabulary of {}", config.vocabulary);
            return Err(ApiError::field(format!("{field}[{n}]"), "invalid_value", message));
        }
    }
    Ok(())
}

/// What stands before every text that is to become a vector, where the model's publisher says so.
fn prompt(config: &EncoderConfig) -> String {
    match &config.head {
        Head::Embedding(embedding) => embedding.prompt.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

struct Work {
    tokenizer: Arc<Tokenizer>,
    most: usize,
    truncate: bool,
    prompt: String,
    field: &'static str,
}

impl Work {
    fn texts(&self, inputs: Vec<Input>) -> Result<Vec<EncodedText>, ApiError> {
        inputs.into_iter().enumerate().map(|(n, input)| self.text(n, input)).collect()
    }

    fn text(&self, n: usize, input: Input) -> Result<EncodedText, ApiError> {
        let place = || format!("{}[{n}]", self.field);
        let mut text = match input {
            Input::Tokens(tokens) => EncodedText {
                types: vec![0; tokens.len()],
                spans: vec![None; tokens.len()],
                tokens: tokens.into_iter().map(|token| token.0).collect(),
            },
            Input::Text { first, second } => {
                let cut = self.truncate.then_some(self.most);
                let text = self.tokenizer.encode_text(&format!("{}{first}", self.prompt), second.as_deref(), cut);
                text.map_err(|_| ApiError::field(place(), "invalid_value", "cannot be tokenized"))?
            }
        };
        if self.truncate {
            text.tokens.truncate(self.most);
            text.types.truncate(self.most);
            text.spans.truncate(self.most);
        }
        if text.tokens.len() > self.most {
            return Err(ApiError::text_too_long(place(), text.tokens.len(), self.most));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
