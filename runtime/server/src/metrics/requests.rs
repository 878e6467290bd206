//! What single requests took: vLLM's histograms of times and sizes.

use std::time::Instant;

use prometheus::{Histogram, HistogramOpts, Registry};

use super::{REQUEST_BUCKETS, TOKEN_BUCKETS};

/// Sizes in tokens, as vLLM buckets them: 1, 2 and 5 of each power of ten.
const SIZE_BUCKETS: [f64; 15] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0];
const N_BUCKETS: [f64; 5] = [1.0, 2.0, 5.0, 10.0, 20.0];

/// Histograms with one observation for each sequence that ended, or that was asked for.
pub(crate) struct RequestMetrics {
    queue: Histogram,
    prefill: Histogram,
    decode: Histogram,
    inference: Histogram,
    per_token: Histogram,
    prompt_tokens: Histogram,
    generation_tokens: Histogram,
    max_generation_tokens: Histogram,
    params_n: Histogram,
    params_max_tokens: Histogram,
    iteration_tokens: Histogram,
}

/// When a sequence passed each point of its life, and how large it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub arrived: Instant,
    /// When the model first worked on it.
    pub started: Option<Instant>,
    pub first_token: Option<Instant>,
    pub last_token: Option<Instant>,
    pub prompt_tokens: usize,
    pub generated_tokens: usize,
    pub max_tokens: Option<usize>,
}

impl RequestMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let add = |name: &str, help: &str, buckets: &[f64]| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let sizes = &SIZE_BUCKETS;
        Ok(Self {
            queue: add("vllm:request_queue_time_seconds", "From arrival to the first work.", &REQUEST_BUCKETS)?,
            prefill: add(
                "vllm:request_prefill_time_seconds",
                "From the first work to the first token.",
                &REQUEST_BUCKETS,
            )?,
            decode: add("vllm:request_decode_time_seconds", "From the first token to the last.", &REQUEST_BUCKETS)?,
            inference: add(
                "vllm:request_inference_time_seconds",
                "From the first work to the last token.",
                &REQUEST_BUCKETS,
            )?,
            per_token: add(
                "vllm:request_time_per_output_token_seconds",
                "Mean time between two tokens of a request.",
                &TOKEN_BUCKETS,
            )?,
            prompt_tokens: add("vllm:request_prompt_tokens", "Tokens of prompts.", sizes)?,
            generation_tokens: add("vllm:request_generation_tokens", "Tokens of answers.", sizes)?,
            max_generation_tokens: add(
                "vllm:request_max_num_generation_tokens",
                "Tokens of the longest answer of a request.",
                sizes,
            )?,
            params_n: add("vllm:request_params_n", "Answers asked for.", &N_BUCKETS)?,
            params_max_tokens: add("vllm:request_params_max_tokens", "Most tokens asked for.", sizes)?,
            iteration_tokens: add("vllm:iteration_tokens_total", "Tokens computed in a step.", sizes)?,
        })
    }

    /// A request asked for so many answers.
    pub(super) fn asked(&self, n: usize) {
        self.params_n.observe(count(n));
    }

    /// A step computed so many tokens.
    pub(super) fn step(&self, n_tokens: usize) {
        self.iteration_tokens.observe(count(n_tokens));
    }

    /// A sequence ended.
    pub(super) fn finished(&self, course: &Course) {
        let Course { arrived, started, first_token, last_token, prompt_tokens, generated_tokens, max_tokens } = course;
        let between = |histogram: &Histogram, from: Option<Instant>, to: Option<Instant>| {
            let took = from.zip(to).map(|(from, to)| to.saturating_duration_since(from));
            if let Some(took) = took {
                histogram.observe(took.as_secs_f64());
            }
            took
        };
        between(&self.queue, Some(*arrived), *started);
        between(&self.prefill, *started, *first_token);
        between(&self.inference, *started, *last_token);
        if let Some(decode) = between(&self.decode, *first_token, *last_token)
            && *generated_tokens > 1
        {
            self.per_token.observe(decode.as_secs_f64() / count(generated_tokens - 1));
        }
        self.prompt_tokens.observe(count(*prompt_tokens));
        self.generation_tokens.observe(count(*generated_tokens));
        self.max_generation_tokens.observe(count(*generated_tokens));
        if let Some(max_tokens) = max_tokens {
            self.params_max_tokens.observe(count(*max_tokens));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of tokens are far below 2^52")]
const fn count(n: usize) -> f64 {
    n as f64
}
