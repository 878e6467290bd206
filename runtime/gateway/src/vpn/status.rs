//! Writes handshakes and bytes of peers into their status, now and then.
//!
//! Each replica adds what it saw itself; the one with the latest handshake holds the session and is the only one that writes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use alcazar_crds::llm_vpn_peer::LlmVpnPeer;
use alcazar_vpn::{PeerSnapshot, Reader};
use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::sync::watch;

use super::peers::{Listed, Told};
use crate::{key::Name, world::World};

/// Between two writes of one peer.
const PAUSE: Duration = Duration::from_secs(30);
const MANAGER: &str = "alcazar-gateway";

/// What was written last, and what this process had counted then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    told: Told,
    received_bytes: u64,
    sent_bytes: u64,
}

/// Writes, for as long as it is polled.
pub(crate) async fn keep_written(client: Client, reader: Reader, worlds: watch::Receiver<Arc<World>>) {
    let mut written = HashMap::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        let world = Arc::clone(&worlds.borrow());
        let snapshot = reader.snapshot();
        let seen: HashMap<&str, &PeerSnapshot> = snapshot.peers.iter().map(|peer| (&*peer.name, peer)).collect();
        written.retain(|name: &Name, _| world.vpn_peers().iter().any(|listed| listed.name == *name));
        for listed in world.vpn_peers() {
            let Some(now) = seen.get(&*listed.peer.name) else { continue };
            let before = written.get(&listed.name).copied().unwrap_or_default();
            let Some(next) = due(listed, before, now) else { continue };
            match patch(&client, &listed.name, &next.told).await {
                Ok(()) => drop(written.insert(listed.name.clone(), next)),
                Err(error) => {
                    tracing::warn!(%error, peer = %listed.name, "failed to write a peer's status; it is written later");
                }
            }
        }
    }
}

/// What is to be written of a peer; none when nothing changed here, or another replica has heard of it since.
pub(crate) fn due(listed: &Listed, before: Written, now: &PeerSnapshot) -> Option<Written> {
    let handshake_at = now.handshake_at?;
    let told = listed.told;
    if told.handshake_at.is_some_and(|elsewhere| elsewhere > handshake_at) {
        return None;
    }
    // A peer that was revoked meanwhile is counted from the beginning.
    let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
    let received = since(now.received_bytes, before.received_bytes);
    let sent = since(now.sent_bytes, before.sent_bytes);
    if received == 0 && sent == 0 && told.handshake_at == Some(handshake_at) {
        return None;
    }
    Some(Written {
        told: Told {
            handshake_at: Some(handshake_at),
            // The watch may not have told of our own last write yet.
            received_bytes: told.received_bytes.max(before.told.received_bytes) + received,
            sent_bytes: told.sent_bytes.max(before.told.sent_bytes) + sent,
        },
        received_bytes: now.received_bytes,
        sent_bytes: now.sent_bytes,
    })
}

async fn patch(client: &Client, name: &Name, told: &Told) -> kube::Result<()> {
    let api: Api<LlmVpnPeer> = Api::namespaced(client.clone(), &name.namespace);
    let seconds = told.handshake_at.and_then(|at| i64::try_from(at).ok()).unwrap_or_default();
    let status = json!({"status": {
        "lastHandshakeTime": Timestamp::from_second(seconds).unwrap_or_default().to_string(),
        "receivedBytes": told.received_bytes,
        "sentBytes": told.sent_bytes,
    }});
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch_status(&name.name, &params, &Patch::Merge(status)).await {
        // Deleted meanwhile.
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
        done => done.map(drop),
    }
}
