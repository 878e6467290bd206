//! Writes what keys used into their status, now and then. Client required.

use std::{sync::Arc, time::Duration};

use alcazar_crds::llm_api_key::LlmApiKey;
use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::quota::{books::Due, desk::Desk};

/// Least time between two writes of one key.
pub(crate) const PAUSE: Duration = Duration::from_secs(10);
/// How often other replicas are told what their keys used here.
const TELL_EVERY: Duration = Duration::from_millis(200);
const MANAGER: &str = "alcazar-gateway";

/// Tells other replicas, for as long as it is polled.
pub(crate) async fn tell(desk: Arc<Desk>) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        desk.send_settlements().await;
    }
}

/// Writes, for as long as it is polled.
pub(crate) async fn keep_written(client: Client, desk: Arc<Desk>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        write(&client, &desk, PAUSE).await;
    }
}

/// Writes what has waited for at least `pause` since the last write of its key.
pub(crate) async fn write(client: &Client, desk: &Desk, pause: Duration) {
    for due in desk.due(pause) {
        if let Err(error) = patch(client, &due).await {
            tracing::warn!(%error, key = %due.key, "failed to write what a key used; it is written later");
            desk.unwritten(&due);
        }
    }
}

async fn patch(client: &Client, due: &Due) -> kube::Result<()> {
    let api: Api<LlmApiKey> = Api::namespaced(client.clone(), &due.key.namespace);
    let last_used = Timestamp::from_second(due.last_used).unwrap_or_default();
    let status = json!({"status": {
        "lastUsedTime": last_used.to_string(),
        "usage": {
            "requests": due.spent.requests,
            "promptTokens": due.spent.prompt_tokens,
            "completionTokens": due.spent.completion_tokens,
            "tokensToday": due.spent.tokens_today,
            "day": due.spent.day,
        },
    }});
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch_status(&due.key.name, &params, &Patch::Merge(status)).await {
        // Deleted meanwhile.
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
        done => done.map(drop),
    }
}
