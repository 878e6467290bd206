//! What the pods tell of themselves, taken together and rounded so that it stays the same while they do the same. Pure.

use std::collections::BTreeSet;

use alcazar_contract::status::ServeStatus;
use alcazar_crds::llm_deployment::{Acceleration, Performance};

use super::{Seen, isolation::is_known_from_before, summary};
use crate::{
    bounds,
    controller::deployment::{build::MODEL_DIGEST, observe::ObservedPod, reports::is_ready},
};

/// Facts of the ready pods.
#[derive(Debug, Default)]
pub(super) struct Reported {
    pub(super) digest: Option<String>,
    pub(super) acceleration: Option<Acceleration>,
    pub(super) performance: Option<Performance>,
}

pub(super) fn read(seen: Seen<'_>) -> Reported {
    if seen.valid.replicas == 0 && seen.pods().next().is_none() {
        return Reported::default();
    }
    let old = seen.old().cloned().unwrap_or_default();
    let ready: Vec<&ObservedPod> = seen.pods().filter(|pod| is_ready(&pod.pod)).collect();
    let told: Vec<&ServeStatus> = ready.iter().filter_map(|pod| pod.told()).filter(|told| told.ready).collect();
    // A part of the pods could tell something else than all of them: wait until everybody was asked.
    let news = !told.is_empty() && !ready.iter().any(|pod| is_known_from_before(pod));
    Reported {
        digest: digest(seen, &ready).or(old.model_digest),
        acceleration: if news { acceleration(&told) } else { old.acceleration },
        performance: if news { performance(&told).or(old.performance) } else { old.performance },
    }
}

/// What all ready pods were made to serve; while they differ, nothing new.
fn digest(seen: Seen<'_>, ready: &[&ObservedPod]) -> Option<String> {
    let digests: BTreeSet<&str> = ready.iter().filter_map(|pod| pod.annotation(MODEL_DIGEST)).collect();
    match (digests.len(), digests.first()) {
        // Somebody may have edited the annotation.
        (1, Some(digest)) => bounds::digest(digest),
        (0, _) => {
            let done = seen.deployment.is_some_and(|deployment| summary::is_rolled_out(deployment, seen.valid));
            let serving = seen.plan.serving.as_ref().filter(|_| done && !ready.is_empty());
            serving.map(|serving| serving.digest.clone())
        }
        _ => None,
    }
}

/// The device of the pod that has offloaded least: the one that people want to know of.
fn acceleration(told: &[&ServeStatus]) -> Option<Acceleration> {
    let least =
        told.iter().filter(|told| !told.device.is_empty()).min_by_key(|told| (told.layers_offloaded, &told.device))?;
    Some(Acceleration {
        device: bounds::device(&least.device),
        layers_offloaded: bounded(least.layers_offloaded),
        layers_total: bounded(least.layers_total),
    })
}

/// The slowest of each: what a caller can count on.
fn performance(told: &[&ServeStatus]) -> Option<Performance> {
    let slowest = |rate: fn(&ServeStatus) -> u32| told.iter().map(|told| rate(told)).filter(|rate| *rate > 0).min();
    let load = told.iter().map(|told| told.load_milliseconds.div_ceil(1000)).max()?;
    let (prefill, decode) =
        (slowest(|told| told.prefill_tokens_per_second), slowest(|told| told.decode_tokens_per_second));
    if load == 0 && prefill.is_none() && decode.is_none() {
        return None;
    }
    Some(Performance {
        prefill_tokens_per_second: bounded(two_digits(prefill.unwrap_or_default())),
        decode_tokens_per_second: bounded(two_digits(decode.unwrap_or_default())),
        load_seconds: i32::try_from(load).unwrap_or(i32::MAX),
    })
}

fn bounded(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Rounded down to two significant digits: a measurement has no more.
pub(super) fn two_digits(rate: u32) -> u32 {
    let unit = 10u32.pow(rate.checked_ilog10().unwrap_or_default().saturating_sub(1));
    rate / unit * unit
}
