//! Kubernetes Events: one for each transition, never one for each pass. Client required.

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tracing::{info, warn};

use super::{
    api_errors::{Fault, fault},
    metrics::Metrics,
};
use crate::{conditions::Transition, context::FIELD_MANAGER};

/// Longest note that `events.k8s.io/v1` takes.
const NOTE_LENGTH: usize = 1024;

/// Publishes Events and logs what they say. The status says it too: Events are lost after an hour.
#[derive(Clone)]
pub struct Recorder {
    client: Client,
    instance: String,
    metrics: Metrics,
}

impl Recorder {
    /// `instance` is the name of the operator's pod.
    #[must_use]
    pub fn new(client: Client, instance: String, metrics: Metrics) -> Self {
        Self { client, instance, metrics }
    }

    /// Tells about a transition of `object`; a failure is logged and counted, and fails nothing else.
    pub async fn publish(&self, object: &ObjectReference, transition: &Transition) {
        let Transition { warning, reason, message } = transition;
        info!(warning, reason, message, "transition");
        let event = self.event(object, transition, Timestamp::now());
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        if let Err(failure) = api.create(&PostParams::default(), &event).await
            && fault(&failure) != Fault::NamespaceLeaving
        {
            warn!(error = %failure, "failed to publish an Event");
            self.metrics.event_lost();
        }
    }

    fn event(&self, object: &ObjectReference, transition: &Transition, now: Timestamp) -> Event {
        let name = object.name.clone().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: object.namespace.clone(),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            action: Some("Reconcile".into()),
            reason: Some(transition.reason.clone()),
            note: Some(clip(&transition.message)),
            type_: Some(if transition.warning { "Warning" } else { "Normal" }.into()),
            regarding: Some(object.clone()),
            reporting_controller: Some(format!("alcazar.dev/{FIELD_MANAGER}")),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

fn clip(message: &str) -> String {
    if message.len() <= NOTE_LENGTH {
        return message.to_owned();
    }
    let end = (0..=NOTE_LENGTH - 4).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
    format!("{} ...", &message[..end])
}
