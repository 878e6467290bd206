//! Weights that are what they claim, and that nobody can carry off.

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{deployments, models, wait_condition, wait_reason},
    wait::{LONG, wait_for},
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use serde_json::json;

use crate::scenario::{REPO, ask, deployment, model, namespace};

/// Opens nothing but the volumes of this test.
const IDENTITY: &str = "AGE-SECRET-KEY-1WQ927EUJU7U40XW920V6GAH769K3ZURV9YFGKU0EWDPJ7VVZTC3Q3DKYQV";
const RECIPIENT: &str = "age1p6d4wrrt83y2vngdv0denqwz00twxg2d5jfjzv6cvqh96jc7aevs06xjp7";
/// Of the key with which the mirror of the hub signs.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEb/A7lJJBzh2t1DUZ5pYOCoW0Gmmg\nXDKBA6orzhWUyhY8T3U6Vb8B3FP2wLDH7ueLQMb/fSWpbiKCuYnO9xwUSg==\n-----END PUBLIC KEY-----\n";
const SIGNED: &str = "  signature: {publicKeySecretName: model-signing}";

async fn secret(namespace: &TestNamespace, name: &str, key: &str, value: &str) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}});
    let secret: Secret = serde_json::from_value(secret).expect("the Secret should be well formed");
    namespace.api::<Secret>().create(&PostParams::default(), &secret).await.expect("the Secret should be accepted");
}

/// What the runtime says of a path below a claim, in a pod that has no key.
async fn looked_at(namespace: &TestNamespace, image: &str, claim: &str, args: &[&str]) -> (i32, String) {
    let pods = namespace.api::<Pod>();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "thief"},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "thief", "image": image, "imagePullPolicy": "IfNotPresent", "args": args,
                "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                    "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "weights", "mountPath": "/weights", "readOnly": true}],
            }],
            "volumes": [{"name": "weights", "persistentVolumeClaim": {"claimName": claim, "readOnly": true}}],
        },
    });
    let pod: Pod = serde_json::from_value(pod).expect("the pod should be well formed");
    pods.create(&PostParams::default(), &pod).await.expect("the pod should be accepted");
    let code = wait_for("the pod without a key to end", LONG, async || {
        let status = pods.get("thief").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let state = status.container_statuses.into_iter().flatten().next().and_then(|container| container.state);
        state.and_then(|state| state.terminated).map(|end| end.exit_code).ok_or_else(|| "it runs".to_owned())
    })
    .await;
    let output = pods.logs("thief", &LogParams::default()).await.expect("the log should be readable");
    pods.delete("thief", &DeleteParams::default()).await.expect("the pod should be deletable");
    wait_for("the pod without a key to be gone", LONG, async || {
        match pods.get_opt("thief").await.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(_) => Err("it is still there".to_owned()),
        }
    })
    .await;
    (code, output)
}

#[tokio::test]
async fn an_encrypted_model_is_served_and_its_volume_yields_nothing() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "encrypted").await;
    let storage = "    storage: {size: 1Gi}\n";
    let text =
        deployment("vault", "").replace(storage, &format!("{storage}    encryption: {{keySecretName: weights-key}}\n"));
    apply_yaml(&cluster.client, &namespace.name, &text).await;
    let message = wait_reason(&models(&namespace), "vault", "Stalled", ("True", "KeyMissing"), LONG).await;
    assert!(message.contains("weights-key"), "{message}");
    secret(&namespace, "weights-key", "key", IDENTITY).await;
    wait_condition(&deployments(&namespace), "vault", "Ready", "True", LONG).await;
    let body = r#"{"model":"vault","messages":[{"role":"user","content":"Say hello."}],"max_tokens":4}"#;
    let answer = ask(&namespace, "asks", "vault", "/v1/chat/completions", body).await;
    assert_eq!(answer.code, 0, "{}", answer.output);

    let status = models(&namespace).get("vault").await.expect("the model should exist").data["status"].clone();
    assert_eq!(status["encryption"]["recipient"], RECIPIENT);
    let sealed = status["digest"].as_str().expect("there should be a digest").replace(':', "-");
    let pods = namespace.api::<Pod>().list(&ListParams::default()).await.expect("pods should be readable").items;
    let image = pods.iter().filter_map(|pod| pod.spec.as_ref()).find(|spec| spec.containers[0].name == "runtime");
    let image = image.and_then(|spec| spec.containers[0].image.clone()).expect("a model pod should run");
    let claim = status["claimName"].as_str().expect("there should be a claim");
    let folder = format!("/weights/{sealed}");
    let (code, output) = looked_at(&namespace, &image, claim, &["inspect", &folder]).await;
    assert!(code != 0 && !output.contains("llama"), "the files should be no model to who has no key: {output}");
    let (code, output) = looked_at(&namespace, &image, claim, &["verify", "--model", &folder]).await;
    assert!(code != 0 && output.contains("KeyMissing"), "{output}");
    namespace.close().await;
}

#[tokio::test]
async fn only_files_of_the_signer_are_sealed() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "signed").await;
    apply_yaml(&cluster.client, &namespace.name, &model("sound", "signed/sound", SIGNED)).await;
    wait_reason(&models(&namespace), "sound", "Stalled", ("True", "KeyMissing"), LONG).await;
    secret(&namespace, "model-signing", "public.pem", PUBLIC_KEY).await;
    wait_condition(&models(&namespace), "sound", "Ready", "True", LONG).await;
    let status = models(&namespace).get("sound").await.expect("the model should exist").data["status"].clone();
    assert_eq!(status["signature"]["keyId"].as_str().map(str::len), Some(64), "{status}");
    for (name, repo, reason, told) in [
        ("tampered", "signed/of-other-bytes", "SignatureInvalid", "model.gguf"),
        ("unsigned", REPO, "SignatureMissing", "model.sig"),
    ] {
        apply_yaml(&cluster.client, &namespace.name, &model(name, repo, SIGNED)).await;
        let message = wait_reason(&models(&namespace), name, "Stalled", ("True", reason), LONG).await;
        assert!(message.contains(told), "{message}");
        let status = models(&namespace).get(name).await.expect("the model should exist").data["status"].clone();
        assert!(status["digest"].as_str().is_none_or(str::is_empty), "{name}: nothing may be sealed: {status}");
    }
    namespace.close().await;
}
