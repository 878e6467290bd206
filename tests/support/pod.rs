//! Pods of the tests' own program, to try the network from inside the cluster.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams, PostParams};
use serde_json::json;

use crate::{
    TestNamespace,
    wait::{LONG, wait_for},
};

/// Name of the Secret that every probe pod mounts where it exists: `/key/key` is the key it calls with.
pub const CALLER_KEY: &str = "caller-key";

/// What a probe pod printed, and how it ended.
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// Its output.
    pub output: String,
}

/// Runs the probe program with `args` in a restricted pod that carries `labels`, until it ends.
///
/// # Panics
/// When the pod is refused or does not end.
pub async fn probe(namespace: &TestNamespace, name: &str, labels: &[(&str, &str)], args: &[&str]) -> Outcome {
    let pods = namespace.api::<Pod>();
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "probe", "image": "localhost/alcazar-test/probe:1", "imagePullPolicy": "IfNotPresent", "args": args,
                "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                    "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
                "volumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": true},
                                 {"name": "key", "mountPath": "/key", "readOnly": true}],
            }],
            "volumes": [{"name": "ca", "configMap": {"name": "alcazar-ca", "optional": true}},
                        {"name": "key", "secret": {"secretName": CALLER_KEY, "optional": true}}],
        },
    });
    let pod: Pod = serde_json::from_value(pod).expect("the pod should be well formed");
    pods.create(&PostParams::default(), &pod).await.expect("the probe pod should be accepted");
    let code = wait_for(&format!("probe pod {name} to end"), LONG, async || exit_code(&pods, name).await).await;
    let output = pods.logs(name, &LogParams::default()).await.expect("the log should be readable");
    pods.delete(name, &DeleteParams::default()).await.expect("the probe pod should be deletable");
    Outcome { code, output }
}

async fn exit_code(pods: &kube::Api<Pod>, name: &str) -> Result<i32, String> {
    let pod = pods.get(name).await.map_err(|error| error.to_string())?;
    let status = pod.status.unwrap_or_default();
    let state = status.container_statuses.iter().flatten().next().and_then(|container| container.state.clone());
    match state.and_then(|state| state.terminated) {
        Some(end) => Ok(end.exit_code),
        None => Err(format!("{:?}", status.container_statuses)),
    }
}
