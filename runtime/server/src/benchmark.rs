//! A glance at the model's pace, taken through the engine after the load, and the one token that proves it works.

use std::time::{Duration, Instant};

use alcazar_core::{EncoderConfig, TokenId};
use alcazar_engine::{Request, Sampling};

use crate::{
    app::Served,
    encoder_thread::{EncoderHandle, smallest},
    engine_thread::{EngineHandle, Event, SubmitError},
};

/// Few, so that a slow model is not busy with itself for long.
const PROMPT_TOKENS: u32 = 32;
const ANSWER_TOKENS: usize = 9;
/// A busy replica is measured by its metrics.
const MAX_ATTEMPTS: u32 = 100;
/// How long a user's request may go unnoticed by a measurement.
const LOOK: Duration = Duration::from_millis(5);
/// Between two looks for a quiet moment.
const QUIET: Duration = Duration::from_secs(1);

/// Why the model did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WarmUpError {
    #[error("failed to run the model once: {0}")]
    Submit(#[from] SubmitError),
    #[error("failed to run the model once: it gave no token; the weights may be damaged")]
    NoToken,
    #[error("failed to run the model once: it gave no numbers; the weights may be damaged")]
    NoRow,
}

/// Generates one token: a model that cannot do that is not served.
pub(crate) async fn warm_up(engine: &EngineHandle) -> Result<(), WarmUpError> {
    let mut generation = engine.submit(request(1, 1, 2), None).await?;
    match generation.next().await {
        Some(Event::Token { .. }) => Ok(()),
        Some(Event::Scored(_) | Event::Finished { .. } | Event::Failed) | None => Err(WarmUpError::NoToken),
    }
}

/// Runs an encoder over one token: one that cannot do that is not served.
pub(crate) async fn warm_up_encoder(encoder: &EncoderHandle, config: &EncoderConfig) -> Result<(), WarmUpError> {
    encoder.encode(vec![smallest(config)], None).await.map(|_| ()).map_err(|_| WarmUpError::NoRow)
}

/// Tokens per second of a prompt and of an answer. Only measured while nobody else is served: a user's request ends
/// the attempt within a step, and another one follows when it is quiet again.
pub(crate) async fn measure(served: &Served) -> Option<(u32, u32)> {
    let vocabulary = u32::try_from(served.vocabulary).unwrap_or(u32::MAX);
    for _ in 0..MAX_ATTEMPTS {
        while served.gate.in_flight() > 0 {
            tokio::time::sleep(QUIET).await;
        }
        tokio::select! {
            biased;
            () = disturbed(served) => {}
            measured = attempt(&served.engine, vocabulary) => return measured,
        }
    }
    None
}

async fn disturbed(served: &Served) {
    while served.gate.in_flight() == 0 {
        tokio::time::sleep(LOOK).await;
    }
}

async fn attempt(engine: &EngineHandle, vocabulary: u32) -> Option<(u32, u32)> {
    let started = Instant::now();
    let mut generation = engine.submit(request(PROMPT_TOKENS, ANSWER_TOKENS, vocabulary), None).await.ok()?;
    let (mut first, mut last, mut n_tokens) = (None, started, 0);
    while let Some(Event::Token { .. }) = generation.next().await {
        last = Instant::now();
        first.get_or_insert(last);
        n_tokens += 1;
    }
    let first = first?;
    Some((rate(PROMPT_TOKENS, first - started), rate(n_tokens - 1, last - first)))
}

fn request(prompt_tokens: u32, max_tokens: usize, vocabulary: u32) -> Request {
    Request {
        // Any tokens do; spread over the vocabulary they touch what real ones touch.
        prompt: (1..=prompt_tokens).map(|n| TokenId(n.wrapping_mul(7919) % vocabulary.max(1))).collect(),
        max_tokens: Some(max_tokens),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        computes_all: true,
        ..Request::default()
    }
}

fn rate(n_tokens: u32, took: Duration) -> u32 {
    let rate = f64::from(n_tokens) / took.as_secs_f64().max(1e-9);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped into range")]
    let whole = rate.clamp(0.0, f64::from(u32::MAX)).round() as u32;
    whole
}
