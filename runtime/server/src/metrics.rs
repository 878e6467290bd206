//! Metrics under the names that autoscalers and endpoint pickers already read from vLLM.

use std::time::Duration;

use alcazar_engine::Load;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

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
    kv_usage: Gauge,
    cache_config: IntGaugeVec,
    preemptions: IntCounter,
    cache_queries: IntCounter,
    cache_hits: IntCounter,
    guessed: IntCounter,
    guessed_right: IntCounter,
    prompt_tokens: IntCounter,
    generation_tokens: IntCounter,
    success: IntCounterVec,
    ttft: Histogram,
    inter_token: Histogram,
    e2e: Histogram,
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
            kv_usage: Gauge::with_opts(opts("vllm:kv_cache_usage_perc", "Cache in use; 1 means full."))?,
            cache_config: IntGaugeVec::new(
                opts("vllm:cache_config_info", "Shape of the cache; the value is always 1."),
                &["block_size", "num_gpu_blocks"],
            )?,
            preemptions: IntCounter::with_opts(opts(
                "vllm:num_preemptions_total",
                "Sequences put back for want of cache.",
            ))?,
            cache_queries: IntCounter::with_opts(opts(
                "vllm:prefix_cache_queries_total",
                "Prompt tokens looked for in the cache.",
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
        let all: [Box<dyn prometheus::core::Collector>; 17] = [
            Box::new(self.running.clone()),
            Box::new(self.waiting.clone()),
            Box::new(self.kv_usage.clone()),
            Box::new(self.cache_config.clone()),
            Box::new(self.preemptions.clone()),
            Box::new(self.cache_queries.clone()),
            Box::new(self.cache_hits.clone()),
            Box::new(self.guessed.clone()),
            Box::new(self.guessed_right.clone()),
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
        #[expect(clippy::cast_precision_loss, reason = "block counts are far below 2^52")]
        let usage = if load.blocks_total == 0 { 0.0 } else { load.blocks_used as f64 / load.blocks_total as f64 };
        self.kv_usage.set(usage);
        for (counter, total) in [
            (&self.preemptions, load.preemptions_total),
            (&self.cache_queries, load.cache_sought_total),
            (&self.cache_hits, load.cache_found_total),
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
        self.generation_tokens.inc();
    }

    pub(crate) fn finished(&self, since_arrival: Duration, reason: &str) {
        self.e2e.observe(since_arrival.as_secs_f64());
        self.success.with_label_values(&[reason]).inc();
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
mod tests {
    use super::*;
    use crate::test_support::sample;

    #[test]
    fn autoscalers_find_the_names_they_know() {
        let metrics = Metrics::new("m").expect("metrics");
        metrics.load(&Load {
            running: 2,
            waiting: 3,
            blocks_used: 1,
            blocks_total: 4,
            block_tokens: 16,
            cache_sought_total: 9,
            cache_found_total: 8,
            guessed_tokens_total: 6,
            guessed_right_total: 5,
            ..Load::default()
        });
        metrics.cache(&Load { blocks_total: 4, block_tokens: 16, ..Load::default() });
        metrics.first_token(Duration::from_millis(30), 7);
        metrics.next_token(Duration::from_millis(10));
        metrics.finished(Duration::from_millis(40), "stop");
        let text = metrics.render().expect("text");
        let both = [r#"engine="0""#, r#"model_name="m""#];
        let of = |name: &str, more: &str| {
            let labels: Vec<&str> = both.into_iter().chain((!more.is_empty()).then_some(more)).collect();
            sample(&text, name, &labels)
        };
        for (name, more, value) in [
            ("vllm:num_requests_running", "", "2"),
            ("vllm:num_requests_waiting", "", "3"),
            ("vllm:kv_cache_usage_perc", "", "0.25"),
            ("vllm:cache_config_info", r#"num_gpu_blocks="4""#, "1"),
            ("vllm:prefix_cache_queries_total", "", "9"),
            ("vllm:prefix_cache_hits_total", "", "8"),
            ("vllm:spec_decode_num_draft_tokens_total", "", "6"),
            ("vllm:spec_decode_num_accepted_tokens_total", "", "5"),
            ("vllm:prompt_tokens_total", "", "7"),
            ("vllm:generation_tokens_total", "", "2"),
            ("vllm:request_success_total", r#"finished_reason="stop""#, "1"),
            ("vllm:time_to_first_token_seconds_bucket", r#"le="0.04""#, "1"),
            ("vllm:inter_token_latency_seconds_count", "", "1"),
            ("vllm:e2e_request_latency_seconds_count", "", "1"),
        ] {
            assert_eq!(of(name, more), value, "{name}");
        }
    }
}
