//! Metrics under the names that autoscalers and endpoint pickers already read from vLLM.

use std::{collections::BTreeSet, time::Duration};

use alcazar_core::AdapterId;
use alcazar_engine::{Load, Usage};
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

mod adapters;
mod requests;

use adapters::AdapterMetrics;
pub(crate) use requests::Course;
use requests::RequestMetrics;

const TTFT_BUCKETS: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
const TOKEN_BUCKETS: [f64; 18] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];
const REQUEST_BUCKETS: [f64; 20] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0,
];

/// All metrics of a serving process. Every one carries `model_name` and `engine`.
pub(crate) struct Metrics {
    registry: Registry,
    running: IntGauge,
    waiting: IntGauge,
    waiting_by_reason: IntGaugeVec,
    kv_usage: Gauge,
    cache_config: IntGaugeVec,
    preemptions: IntCounter,
    prompt_tokens: IntCounter,
    generation_tokens: IntCounter,
    success: IntCounterVec,
    ttft: Histogram,
    inter_token: Histogram,
    /// The older name of the same; dashboards still read it.
    per_token: Histogram,
    e2e: Histogram,
    cache_queries: IntCounter,
    cache_hits: IntCounter,
    guessed: IntCounter,
    guessed_right: IntCounter,
    cached_tokens: IntCounter,
    requests: RequestMetrics,
    adapters: AdapterMetrics,
    responses: IntCounterVec,
    http_seconds: HistogramVec,
}

impl Metrics {
    /// Fails only when two metrics share a name.
    pub(crate) fn new(model_name: &str) -> prometheus::Result<Self> {
        let registry = Registry::new_custom(None, Some(labels(model_name)))?;
        let opts = |name: &str, help: &str| Opts::new(name, help);
        let histogram =
            |name: &str, help: &str, buckets: &[f64]| HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let metrics = Self {
            running: IntGauge::with_opts(opts("vllm:num_requests_running", "Requests in the batch."))?,
            waiting: IntGauge::with_opts(opts("vllm:num_requests_waiting", "Requests that wait for a place."))?,
            waiting_by_reason: IntGaugeVec::new(
                opts("vllm:num_requests_waiting_by_reason", "Requests that wait, by what they wait for."),
                &["reason"],
            )?,
            kv_usage: Gauge::with_opts(opts("vllm:kv_cache_usage_perc", "Cache in use; 1 means full."))?,
            cache_config: IntGaugeVec::new(
                opts("vllm:cache_config_info", "Shape of the cache; the value is always 1."),
                &["block_size", "num_gpu_blocks"],
            )?,
            preemptions: IntCounter::with_opts(opts(
                "vllm:num_preemptions_total",
                "Sequences put back for want of cache.",
            ))?,
            prompt_tokens: IntCounter::with_opts(opts("vllm:prompt_tokens_total", "Prompt tokens computed."))?,
            generation_tokens: IntCounter::with_opts(opts("vllm:generation_tokens_total", "Tokens generated."))?,
            success: IntCounterVec::new(
                opts("vllm:request_success_total", "Requests that ended, by reason."),
                &["finished_reason"],
            )?,
            ttft: Histogram::with_opts(histogram(
                "vllm:time_to_first_token_seconds",
                "From arrival to the first token.",
                &TTFT_BUCKETS,
            ))?,
            inter_token: Histogram::with_opts(histogram(
                "vllm:inter_token_latency_seconds",
                "Between two tokens of a request.",
                &TOKEN_BUCKETS,
            ))?,
            per_token: Histogram::with_opts(histogram(
                "vllm:time_per_output_token_seconds",
                "Between two tokens of a request; the older name.",
                &TOKEN_BUCKETS,
            ))?,
            cache_queries: IntCounter::with_opts(opts(
                "vllm:prefix_cache_queries_total",
                "Prompt tokens looked up in the cache.",
            ))?,
            cache_hits: IntCounter::with_opts(opts(
                "vllm:prefix_cache_hits_total",
                "Prompt tokens found in the cache.",
            ))?,
            guessed: IntCounter::with_opts(opts("vllm:spec_decode_num_draft_tokens_total", "Tokens guessed ahead."))?,
            guessed_right: IntCounter::with_opts(opts(
                "vllm:spec_decode_num_accepted_tokens_total",
                "Tokens guessed ahead that were right.",
            ))?,
            cached_tokens: IntCounter::with_opts(opts(
                "vllm:prompt_tokens_cached_total",
                "Prompt tokens that were not computed again.",
            ))?,
            requests: RequestMetrics::new(&registry)?,
            adapters: AdapterMetrics::new(&registry)?,
            e2e: Histogram::with_opts(histogram(
                "vllm:e2e_request_latency_seconds",
                "From arrival to the end of a request.",
                &REQUEST_BUCKETS,
            ))?,
            responses: IntCounterVec::new(
                opts("alcazar_http_responses_total", "Answers of the API, by route and status."),
                &["route", "status"],
            )?,
            http_seconds: HistogramVec::new(
                histogram("alcazar_http_head_seconds", "From a request to the head of its answer.", &TTFT_BUCKETS),
                &["route"],
            )?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        // Without a reason yet, the counters still show, so that rates have a start.
        for reason in ["stop", "length", "abort", "error"] {
            self.success.with_label_values(&[reason]);
        }
        let all: [Box<dyn prometheus::core::Collector>; 20] = [
            Box::new(self.running.clone()),
            Box::new(self.waiting.clone()),
            Box::new(self.waiting_by_reason.clone()),
            Box::new(self.per_token.clone()),
            Box::new(self.cache_queries.clone()),
            Box::new(self.cache_hits.clone()),
            Box::new(self.guessed.clone()),
            Box::new(self.guessed_right.clone()),
            Box::new(self.cached_tokens.clone()),
            Box::new(self.kv_usage.clone()),
            Box::new(self.cache_config.clone()),
            Box::new(self.preemptions.clone()),
            Box::new(self.prompt_tokens.clone()),
            Box::new(self.generation_tokens.clone()),
            Box::new(self.success.clone()),
            Box::new(self.ttft.clone()),
            Box::new(self.inter_token.clone()),
            Box::new(self.e2e.clone()),
            Box::new(self.responses.clone()),
            Box::new(self.http_seconds.clone()),
        ];
        all.into_iter().try_for_each(|collector| self.registry.register(collector))
    }

    /// The engine's gauges, after each step.
    pub(crate) fn load(&self, load: &Load) {
        self.running.set(gauge(load.running));
        self.waiting.set(gauge(load.waiting));
        self.waiting_by_reason.with_label_values(&["capacity"]).set(gauge(load.waiting));
        self.waiting_by_reason.with_label_values(&["deferred"]).set(0);
        #[expect(clippy::cast_precision_loss, reason = "block counts are far below 2^52")]
        let usage = if load.blocks_total == 0 { 0.0 } else { load.blocks_used as f64 / load.blocks_total as f64 };
        self.kv_usage.set(usage);
        for (counter, total) in [
            (&self.preemptions, load.preemptions_total),
            (&self.guessed, load.guessed_tokens_total),
            (&self.guessed_right, load.guessed_right_total),
        ] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }

    /// Requests that an encoder works on.
    pub(crate) fn open_requests(&self, n: usize) {
        self.running.set(gauge(n));
    }

    /// Tokens that an encoder has read.
    pub(crate) fn computed(&self, n_tokens: usize) {
        self.prompt_tokens.inc_by(n_tokens as u64);
    }

    /// The names of the adapters that are served, by their numbers.
    pub(crate) fn serve_adapters(&self, names: Vec<String>) {
        self.adapters.serve(names);
    }

    /// Adapters of sequences that run and that wait, after each step.
    pub(crate) fn adapters(&self, working: [BTreeSet<AdapterId>; 2]) {
        self.adapters.working(working);
    }

    /// The cache's shape, once it is known.
    pub(crate) fn cache(&self, load: &Load) {
        let (size, count) = (load.block_tokens.to_string(), load.blocks_total.to_string());
        self.cache_config.with_label_values(&[size.as_str(), count.as_str()]).set(1);
    }

    pub(crate) fn first_token(&self, since_arrival: Duration, prompt_tokens: usize) {
        self.ttft.observe(since_arrival.as_secs_f64());
        self.prompt_tokens.inc_by(prompt_tokens as u64);
        self.generation_tokens.inc();
    }

    pub(crate) fn next_token(&self, since_last: Duration) {
        self.inter_token.observe(since_last.as_secs_f64());
        self.per_token.observe(since_last.as_secs_f64());
        self.generation_tokens.inc();
    }

    pub(crate) fn finished(&self, course: &Course, reason: &str) {
        self.e2e.observe(course.arrived.elapsed().as_secs_f64());
        self.success.with_label_values(&[reason]).inc();
        self.requests.finished(course);
    }

    /// What the cache spared a request that came to its end.
    pub(crate) fn cache_use(&self, usage: &Usage) {
        self.cache_queries.inc_by(usage.prompt_tokens as u64);
        self.cache_hits.inc_by(usage.cached_tokens as u64);
        self.cached_tokens.inc_by(usage.cached_tokens as u64);
    }

    /// A request asks for so many answers.
    pub(crate) fn asked(&self, n: usize) {
        self.requests.asked(n);
    }

    /// A step computed so many tokens.
    pub(crate) fn step(&self, n_tokens: usize) {
        self.requests.step(n_tokens);
    }

    /// `route` is a route's pattern, never what a client wrote.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        self.responses.with_label_values(&[route, status.to_string().as_str()]).inc();
        self.http_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// Prometheus text format.
    pub(crate) fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn labels(model_name: &str) -> std::collections::HashMap<String, String> {
    [("model_name", model_name), ("engine", "0")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn gauge(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
