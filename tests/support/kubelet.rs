//! The part of a kubelet that a test without a node plays: it says how a pod ended.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    TestNamespace,
    wait::{SHORT, wait_for},
};

/// A digest that no file has, for tests that need none.
pub const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Lets the fetch pod of `model` end well, as if it had sealed a model of `digest`.
///
/// # Panics
/// When no fetch pod appears.
pub async fn seal(namespace: &TestNamespace, model: &str, digest: &str) {
    let message = json!({"sealed": {
        "digest": digest, "path": digest.replace(':', "-"), "sizeBytes": 98_362_432, "format": "GGUF",
        "architecture": "llama", "parameterCount": 134_515_008, "contextLength": 8192,
    }});
    end(namespace, model, 0, "Succeeded", &message).await;
}

/// Lets the fetch pod of `model` fail for `reason`.
///
/// # Panics
/// When no fetch pod appears.
pub async fn fail(namespace: &TestNamespace, model: &str, reason: &str, message: &str) {
    end(namespace, model, 1, "Failed", &json!({"failed": {"reason": reason, "message": message}})).await;
}

/// Lets `count` model pods of `deployment` become ready. Nobody answers at their address.
///
/// # Panics
/// When not so many pods appear.
pub async fn serve(namespace: &TestNamespace, deployment: &str, count: usize) {
    let pods = namespace.api::<Pod>();
    let labels = format!("alcazar.dev/deployment={deployment},app.kubernetes.io/component=model-server");
    let found = wait_for("the model pods", SHORT, async || {
        let list = pods.list(&ListParams::default().labels(&labels)).await.map_err(|error| error.to_string())?;
        if list.items.len() == count { Ok(list.items) } else { Err(format!("{} of {count}", list.items.len())) }
    })
    .await;
    for pod in found {
        let container = &pod.spec.as_ref().expect("a pod should have a spec").containers[0];
        let moment = "2026-01-01T00:00:00Z";
        let yes = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": moment});
        let status = json!({"status": {
            "phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "startTime": moment,
            "conditions": [yes("PodScheduled"), yes("Initialized"), yes("ContainersReady"), yes("Ready")],
            "containerStatuses": [{
                "name": container.name, "image": "i", "imageID": "i", "ready": true, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": moment}},
            }],
        }});
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(status))
            .await
            .expect("the pod's status should be writable");
    }
}

async fn end(namespace: &TestNamespace, model: &str, code: i32, phase: &str, message: &serde_json::Value) {
    let pods = namespace.api::<Pod>();
    let labels = format!("alcazar.dev/model={model},app.kubernetes.io/component=fetch");
    let pod = wait_for("the fetch pod", SHORT, async || {
        let list = pods.list(&ListParams::default().labels(&labels)).await.map_err(|error| error.to_string())?;
        let mut running = list.items.into_iter().filter(|pod| !ended(pod));
        running.next().ok_or_else(|| "none".to_owned())
    })
    .await;
    let container = &pod.spec.as_ref().expect("a pod should have a spec").containers[0];
    let status = json!({"status": {"phase": phase, "containerStatuses": [{
        "name": container.name, "image": "i", "imageID": "i", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "message": message.to_string()}},
    }]}});
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(status))
        .await
        .expect("the pod's status should be writable");
}

fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
