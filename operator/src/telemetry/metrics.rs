//! Prometheus metrics of the operator. Labels are closed sets: never the name of an object, never free text.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::store::Key;

/// Seconds; a pass without a write takes about a millisecond, one with writes as long as the API server.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

/// Types and statuses of the conditions under which an object is counted.
type Counted = Vec<(String, String)>;

/// All metrics; clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    duration: HistogramVec,
    passes: IntCounterVec,
    errors: IntCounterVec,
    objects: IntGaugeVec,
    api_calls: IntCounterVec,
    watch_errors: IntCounterVec,
    events_lost: IntCounter,
    leader: IntGauge,
    canary: IntCounter,
    seen: Arc<Mutex<HashMap<(String, Key), Counted>>>,
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("alcazar_operator_{name}"), help);
        let duration = HistogramOpts::new("alcazar_operator_reconcile_duration_seconds", "Time of one reconcile pass.")
            .buckets(BUCKETS.to_vec());
        let metrics = Self {
            registry: Registry::new(),
            duration: HistogramVec::new(duration, &["kind"])?,
            passes: IntCounterVec::new(opts("reconciliations_total", "Reconcile passes."), &["kind", "result"])?,
            errors: IntCounterVec::new(
                opts("reconcile_errors_total", "Failed passes, by reason."),
                &["kind", "reason"],
            )?,
            objects: IntGaugeVec::new(
                opts("objects", "Objects by condition and its status."),
                &["kind", "condition", "status"],
            )?,
            api_calls: IntCounterVec::new(
                opts("api_calls_total", "Calls to the Kubernetes API, by outcome."),
                &["verb", "resource", "code"],
            )?,
            watch_errors: IntCounterVec::new(
                opts("watch_errors_total", "Watches that failed and were begun again."),
                &["resource"],
            )?,
            events_lost: IntCounter::with_opts(opts("events_lost_total", "Events that could not be published."))?,
            leader: IntGauge::with_opts(opts("leader", "1 while this replica holds the Lease."))?,
            canary: IntCounter::with_opts(opts(
                "canary_connections_total",
                "Connections to the canary: the operator's own, and those of pods that are not isolated.",
            ))?,
            seen: Arc::default(),
        };
        for collector in metrics.collectors() {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    fn collectors(&self) -> [Box<dyn prometheus::core::Collector>; 9] {
        [
            Box::new(self.duration.clone()),
            Box::new(self.passes.clone()),
            Box::new(self.errors.clone()),
            Box::new(self.objects.clone()),
            Box::new(self.api_calls.clone()),
            Box::new(self.watch_errors.clone()),
            Box::new(self.events_lost.clone()),
            Box::new(self.leader.clone()),
            Box::new(self.canary.clone()),
        ]
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// A pass ended.
    pub fn reconciled(&self, kind: &str, took: Duration, succeeded: bool) {
        self.duration.with_label_values(&[kind]).observe(took.as_secs_f64());
        self.passes.with_label_values(&[kind, if succeeded { "success" } else { "error" }]).inc();
    }

    /// A pass failed.
    pub fn reconcile_failed(&self, kind: &str, reason: &'static str) {
        self.errors.with_label_values(&[kind, reason]).inc();
    }

    /// A call to the API server was answered, or not (`code` is then `error`).
    pub(super) fn api_called(&self, verb: &str, resource: &str, code: &str) {
        self.api_calls.with_label_values(&[verb, resource, code]).inc();
    }

    /// A watch failed.
    pub fn watch_failed(&self, resource: &str) {
        self.watch_errors.with_label_values(&[resource]).inc();
    }

    /// An Event could not be published.
    pub fn event_lost(&self) {
        self.events_lost.inc();
    }

    /// The canary was asked.
    pub fn canary_answered(&self) {
        self.canary.inc();
    }

    /// Whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Counts an object under its conditions, and no longer under those it had.
    pub fn observe_conditions(&self, kind: &str, key: &Key, conditions: &[Condition]) {
        let kind = kind.to_ascii_lowercase();
        let now: Vec<_> = conditions.iter().map(|c| (c.type_.clone(), c.status.clone())).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.insert((kind.clone(), key.clone()), now.clone()).unwrap_or_default();
        if before != now {
            self.count(&kind, &before, -1);
            self.count(&kind, &now, 1);
        }
    }

    /// The object is gone.
    pub fn forget(&self, kind: &str, key: &Key) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = seen.remove(&(kind.to_owned(), key.clone())) {
            self.count(kind, &before, -1);
        }
    }

    fn count(&self, kind: &str, conditions: &[(String, String)], by: i64) {
        for (condition, status) in conditions {
            self.objects.with_label_values(&[kind, condition, status]).add(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_objects_under_their_present_conditions_only() {
        let metrics = Metrics::new().unwrap();
        let key = Key::new("team", "a");
        let ready = |status: &str| {
            vec![Condition {
                type_: "Ready".into(),
                status: status.into(),
                reason: "Sealed".into(),
                message: String::new(),
                observed_generation: None,
                last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
            }]
        };
        metrics.observe_conditions("LlmModel", &key, &ready("False"));
        metrics.observe_conditions("LlmModel", &key, &ready("True"));
        metrics.observe_conditions("LlmModel", &key, &ready("True"));
        let text = metrics.render().unwrap();
        assert!(
            text.contains(r#"alcazar_operator_objects{condition="Ready",kind="llmmodel",status="True"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"alcazar_operator_objects{condition="Ready",kind="llmmodel",status="False"} 0"#),
            "{text}"
        );
        metrics.forget("llmmodel", &key);
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"status="True"} 0"#), "{text}");
    }
}
