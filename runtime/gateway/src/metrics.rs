//! What Prometheus sees. Names of keys and models only; never a key, never a text of a request.

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::{audit::Record, meter::Tokens};

/// From a tenth of a millisecond to a minute.
const SECONDS: [f64; 16] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// All metrics of the program.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    tokens: IntCounterVec,
    unauthorized: IntCounter,
    pub(crate) in_flight: IntGauge,
    pub(crate) held: IntGauge,
    pub(crate) upstream_seconds: Histogram,
    pub(crate) added_seconds: Histogram,
    quota_refusals: IntCounterVec,
    pub(crate) owner_failures: IntCounter,
    retries: IntCounterVec,
    endpoints: IntGaugeVec,
    pub(crate) connections: IntGauge,
    pub(crate) connections_evicted: IntGauge,
    pub(crate) connections_refused: IntGauge,
    pub(crate) connections_flooding: IntGauge,
    pub(crate) streams_ended: IntCounter,
    pub(crate) watch_failures: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some("alcazar_gateway".to_owned()), None)?;
        let counter = |name: &str, help: &str| {
            let made = IntCounter::new(name, help)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let gauge = |name: &str, help: &str| {
            let made = IntGauge::new(name, help)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let histogram = |name: &str, help: &str| {
            let made = Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()))?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let endpoints = IntGaugeVec::new(Opts::new("endpoints", "Ready pods of a model."), &["namespace", "model"])?;
        registry.register(Box::new(endpoints.clone()))?;
        let of_key = ["namespace", "key"];
        Ok(Self {
            requests: counters("requests_total", "Answered requests.", &["namespace", "key", "model", "code"])?,
            tokens: counters(
                "tokens_total",
                "Tokens read (prompt) and written (completion).",
                &["namespace", "key", "kind"],
            )?,
            unauthorized: counter("unauthorized_total", "Requests without a valid key.")?,
            in_flight: gauge("in_flight", "Requests under way.")?,
            held: gauge("held", "Requests that wait for a pod.")?,
            upstream_seconds: histogram(
                "upstream_seconds",
                "From sending a request to a pod to the head of its answer.",
            )?,
            added_seconds: histogram("added_seconds", "What the gateway adds before a request is sent to a pod.")?,
            quota_refusals: counters(
                "quota_refusals_total",
                "Requests over a limit.",
                &[of_key[0], of_key[1], "limit"],
            )?,
            owner_failures: counter("quota_owner_failures_total", "Times the owner of an account did not answer.")?,
            retries: counters("retries_total", "Requests that were sent to another pod.", &["reason"])?,
            endpoints,
            connections: gauge("connections", "Open connections of clients.")?,
            connections_evicted: gauge("connections_evicted", "Idle connections that made place for others.")?,
            connections_refused: gauge("connections_refused", "Connections for which there was no place.")?,
            connections_flooding: gauge("connections_flooding", "Connections cut for taking back too many requests.")?,
            streams_ended: counter("streams_ended_total", "Streams ended because their key was revoked or expired.")?,
            watch_failures: counters("watch_failures_total", "Watches that failed and were begun again.", &["kind"])?,
            registry,
        })
    }

    pub(crate) fn answered(&self, record: &Record, key_name: &str) {
        let code = record.status.to_string();
        self.requests.with_label_values(&[record.namespace.as_str(), key_name, &record.model, &code]).inc();
    }

    pub(crate) fn counted(&self, namespace: &str, key: &str, tokens: Tokens) {
        for (kind, n) in [("prompt", tokens.prompt), ("completion", tokens.completion)] {
            self.tokens.with_label_values(&[namespace, key, kind]).inc_by(n);
        }
    }

    pub(crate) fn unauthorized(&self) {
        self.unauthorized.inc();
    }

    pub(crate) fn over_quota(&self, namespace: &str, key: &str, limit: &str) {
        self.quota_refusals.with_label_values(&[namespace, key, limit]).inc();
    }

    pub(crate) fn retried(&self, reason: &str) {
        self.retries.with_label_values(&[reason]).inc();
    }

    pub(crate) fn saw(&self, world: &crate::world::World) {
        self.endpoints.reset();
        for model in world.models() {
            let n = i64::try_from(model.endpoints.len()).unwrap_or(i64::MAX);
            self.endpoints.with_label_values(&[model.namespace.as_str(), &model.name]).set(n);
        }
    }

    /// Prometheus text format.
    pub(crate) fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
