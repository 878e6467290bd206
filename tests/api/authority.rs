//! One certificate authority after the other, as the Secrets and the ConfigMap show it.

use std::collections::BTreeMap;

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kubelet,
    operator::Operator,
    wait::{SHORT, wait_for},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
};
use kube::{ResourceExt as _, api::DeleteParams};

const DEPLOYMENT: &str = "apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {name: d}
spec:
  model: {source: {huggingFace: {repo: a/b, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}}}
";
/// A model port's, and the gateway's two.
const LEAVES: [&str; 3] = ["d-tls", "alcazar-gateway-client", "alcazar-gateway-tls"];

type Files = BTreeMap<String, Vec<u8>>;

async fn files(namespace: &TestNamespace, secret: &str) -> Result<Files, String> {
    let found = namespace.api::<Secret>().get(secret).await.map_err(|error| error.to_string())?;
    Ok(found.data.into_iter().flatten().map(|(name, value)| (name, value.0)).collect())
}

async fn bundle(namespace: &TestNamespace) -> Result<String, String> {
    let found = namespace.api::<ConfigMap>().get("alcazar-ca").await.map_err(|error| error.to_string())?;
    found.data.and_then(|mut data| data.remove("ca.crt")).ok_or_else(|| "no ca.crt".to_owned())
}

fn count(bundle: &str) -> usize {
    bundle.matches("BEGIN CERTIFICATE").count()
}

async fn deployment(namespace: &TestNamespace) -> Result<Deployment, String> {
    namespace.api::<Deployment>().get("d").await.map_err(|error| error.to_string())
}

/// Waits until every leaf has this bundle beside it.
async fn all_have(namespace: &TestNamespace, bundle: &str) -> BTreeMap<&'static str, Files> {
    let mut all = BTreeMap::new();
    for name in LEAVES {
        let has = wait_for(&format!("the bundle in {name}"), SHORT, async || {
            let files = files(namespace, name).await?;
            if files["ca.crt"] == bundle.as_bytes() { Ok(files) } else { Err("another one".to_owned()) }
        })
        .await;
        all.insert(name, has);
    }
    all
}

async fn delete_secret(namespace: &TestNamespace) {
    namespace.api::<Secret>().delete("alcazar-ca", &DeleteParams::default()).await.expect("it should be deletable");
}

#[tokio::test]
async fn a_new_authority_takes_over_without_a_new_certificate_or_a_restart() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "authority").await;
    let operator = Operator::start(&cluster, &namespace);
    apply_yaml(&cluster.client, &namespace.name, DEPLOYMENT).await;
    kubelet::seal(&namespace, "d", kubelet::DIGEST).await;
    let before = wait_for("the Deployment", SHORT, async || deployment(&namespace).await).await;
    let old = wait_for("the bundle", SHORT, async || bundle(&namespace).await).await;
    let first = all_have(&namespace, &old).await;
    assert_eq!(count(&old), 1);

    operator.kill();
    delete_secret(&namespace).await;
    let operator = Operator::start(&cluster, &namespace);
    let both = wait_for("a bundle of two", SHORT, async || {
        let bundle = bundle(&namespace).await?;
        if count(&bundle) == 2 { Ok(bundle) } else { Err(bundle) }
    })
    .await;
    assert!(both.ends_with(&old) && !both.starts_with(&old), "the new one first:\n{both}");
    for (name, files) in all_have(&namespace, &both).await {
        for file in ["tls.crt", "tls.key"] {
            assert!(files[file] == first[name][file], "{file} of {name} should stay");
        }
    }
    let after = deployment(&namespace).await.expect("the Deployment should be there");
    assert_eq!(after.metadata.generation, before.metadata.generation, "no pod should be restarted");

    // After a leak: the old ones are not trusted any longer.
    operator.kill();
    delete_secret(&namespace).await;
    let maps = namespace.api::<ConfigMap>();
    maps.delete("alcazar-ca", &DeleteParams::default()).await.expect("it should be deletable");
    let _operator = Operator::start(&cluster, &namespace);
    let alone = wait_for("a new bundle", SHORT, async || bundle(&namespace).await).await;
    assert!(count(&alone) == 1 && !both.contains(&alone), "{alone}");
    for (name, files) in all_have(&namespace, &alone).await {
        assert!(files["tls.crt"] != first[name]["tls.crt"], "{name} should be signed anew");
    }
    let secret = namespace.api::<Secret>().get("alcazar-ca").await.expect("the authority should be there");
    assert!(!secret.annotations().contains_key("alcazar.dev/took-over-at"), "{:?}", secret.annotations());
    namespace.close().await;
}
