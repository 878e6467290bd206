//! Which adapters run and wait, as endpoint pickers read it: one series, whose value is the time of the last change.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use alcazar_core::AdapterId;
use prometheus::{GaugeVec, Opts, Registry};

const LABELS: [&str; 3] = ["max_lora", "running_lora_adapters", "waiting_lora_adapters"];

pub(super) struct AdapterMetrics {
    info: GaugeVec,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: Vec<String>,
    /// What the one series says now.
    told: Option<[BTreeSet<AdapterId>; 2]>,
}

impl AdapterMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Adapters of requests that run and that wait; the value is the time of the last change.";
        let info = GaugeVec::new(Opts::new("vllm:lora_requests_info", help), &LABELS)?;
        registry.register(Box::new(info.clone()))?;
        Ok(Self { info, state: Mutex::default() })
    }

    /// The names of the adapters that are served, by their numbers; without any there is no series.
    pub(super) fn serve(&self, names: Vec<String>) {
        self.with(|state| state.names = names);
        self.working([BTreeSet::new(), BTreeSet::new()]);
    }

    /// Those of requests that run, and of those that wait.
    pub(super) fn working(&self, now: [BTreeSet<AdapterId>; 2]) {
        self.with(|state| {
            if state.names.is_empty() || state.told.as_ref() == Some(&now) {
                return;
            }
            let labels = state.labels(&now);
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.info.with_label_values(&labels.each_ref().map(String::as_str)).set(since.as_secs_f64());
            // The new series first: whoever asks in between finds two, and takes the later.
            if let Some(before) = state.told.replace(now) {
                let before = state.labels(&before);
                // It is there, since it was told.
                let _ = self.info.remove_label_values(&before.each_ref().map(String::as_str));
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Plain values; a panicking holder leaves them readable.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn labels(&self, [running, waiting]: &[BTreeSet<AdapterId>; 2]) -> [String; 3] {
        let names = |ids: &BTreeSet<AdapterId>| {
            let names = ids.iter().filter_map(|id| self.names.get(id.index()).map(String::as_str));
            names.collect::<Vec<_>>().join(",")
        };
        [self.names.len().to_string(), names(running), names(waiting)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_series_says_what_runs_and_waits() {
        let registry = Registry::new();
        let metrics = AdapterMetrics::new(&registry).unwrap();
        let rows = || -> Vec<Vec<String>> {
            let families = registry.gather();
            let rows = families.iter().flat_map(prometheus::proto::MetricFamily::get_metric);
            rows.map(|row| {
                assert!(row.get_gauge().get_value() > 1.7e9, "a time");
                row.get_label().iter().map(|label| label.value().to_owned()).collect()
            })
            .collect()
        };
        metrics.working([[AdapterId(0)].into(), [].into()]);
        assert!(rows().is_empty(), "no adapters, no series");
        metrics.serve(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(rows(), [["2", "", ""]]);
        metrics.working([[AdapterId(1), AdapterId(0)].into(), [AdapterId(1)].into()]);
        assert_eq!(rows(), [["2", "a,b", "b"]]);
        metrics.working([[].into(), [].into()]);
        assert_eq!(rows(), [["2", "", ""]]);
    }
}
