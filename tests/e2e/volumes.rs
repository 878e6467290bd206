//! Storage that is missing, full or limited: a reason, a mend, and recovery by itself.

use alcazar_tests::{
    Cluster,
    apply::apply_yaml,
    kinds::{models, wait_condition, wait_reason},
    wait::{LONG, wait_for},
};
use k8s_openapi::{api::storage::v1::StorageClass, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};

use crate::scenario::{REPO, model, namespace};

#[tokio::test]
async fn a_missing_storage_class_is_named_and_waited_for() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "no-class").await;
    let text = model("m", REPO, "").replace("{size: 1Gi}", "{size: 1Gi, storageClassName: nowhere}");
    apply_yaml(&cluster.client, &namespace.name, &text).await;
    let message = wait_reason(&models(&namespace), "m", "Ready", ("False", "StorageClassMissing"), LONG).await;
    assert!(message.contains("nowhere"), "{message}");
    let classes = Api::<StorageClass>::all(cluster.client.clone());
    let class = StorageClass {
        metadata: ObjectMeta { name: Some("nowhere".to_owned()), ..ObjectMeta::default() },
        provisioner: "rancher.io/local-path".to_owned(),
        volume_binding_mode: Some("WaitForFirstConsumer".to_owned()),
        ..StorageClass::default()
    };
    classes.create(&PostParams::default(), &class).await.expect("the class should be creatable");
    wait_condition(&models(&namespace), "m", "Ready", "True", LONG).await;
    namespace.close().await;
    classes.delete("nowhere", &DeleteParams::default()).await.expect("the class should be deletable");
}

/// Volumes of class `local-path-limited` are exactly as large as asked for: the model of 98 MB does not fit.
#[tokio::test]
async fn a_full_volume_is_told_with_its_size() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "full").await;
    let text = model("m", REPO, "").replace("{size: 1Gi}", "{size: 32Mi, storageClassName: local-path-limited}");
    apply_yaml(&cluster.client, &namespace.name, &text).await;
    let message = wait_reason(&models(&namespace), "m", "Stalled", ("True", "VolumeFull"), LONG).await;
    assert!(message.contains("storage.size"), "the mend should be named: {message}");
    // This class cannot grow volumes: that is told as well, and what is left is to make the model anew.
    let larger = text.replace("32Mi", "200Mi");
    apply_yaml(&cluster.client, &namespace.name, &larger).await;
    let message = wait_reason(&models(&namespace), "m", "Stalled", ("True", "ResizeFailed"), LONG).await;
    assert!(message.contains("anew"), "the mend should be named: {message}");
    models(&namespace).delete("m", &DeleteParams::default()).await.expect("it should be deletable");
    wait_for("the model to be gone", LONG, async || {
        match models(&namespace).get_opt("m").await.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(_) => Err("it is still there".to_owned()),
        }
    })
    .await;
    apply_yaml(&cluster.client, &namespace.name, &larger).await;
    wait_condition(&models(&namespace), "m", "Ready", "True", LONG).await;
    namespace.close().await;
}

/// A quota that is in the way is told, and the model goes on by itself when it is lifted.
#[tokio::test]
async fn a_quota_is_told_and_recovery_is_by_itself() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "quota").await;
    let quota = "apiVersion: v1
kind: ResourceQuota
metadata: {name: none}
spec: {hard: {persistentvolumeclaims: '0'}}
";
    apply_yaml(&cluster.client, &namespace.name, quota).await;
    apply_yaml(&cluster.client, &namespace.name, &model("m", REPO, "")).await;
    let message = wait_reason(&models(&namespace), "m", "Ready", ("False", "QuotaExceeded"), LONG).await;
    assert!(message.contains("persistentvolumeclaims"), "{message}");
    let quotas = namespace.api::<k8s_openapi::api::core::v1::ResourceQuota>();
    quotas.delete("none", &DeleteParams::default()).await.expect("the quota should be deletable");
    wait_condition(&models(&namespace), "m", "Ready", "True", LONG).await;
    namespace.close().await;
}

/// A Secret that is not there yet is waited for, and named.
#[tokio::test]
async fn a_missing_secret_is_named_and_waited_for() {
    let cluster = Cluster::connect().await;
    let namespace = namespace(&cluster, "secret").await;
    let text = model("m", REPO, "").replace("huggingFace: {", "huggingFace: {tokenSecretName: hub-token, ");
    apply_yaml(&cluster.client, &namespace.name, &text).await;
    let message = wait_reason(&models(&namespace), "m", "Ready", ("False", "SecretMissing"), LONG).await;
    assert!(message.contains("hub-token"), "{message}");
    let secret = "apiVersion: v1
kind: Secret
metadata: {name: hub-token}
stringData: {token: hf_canary_of_the_tests}
";
    apply_yaml(&cluster.client, &namespace.name, secret).await;
    wait_condition(&models(&namespace), "m", "Ready", "True", LONG).await;
    namespace.close().await;
}
