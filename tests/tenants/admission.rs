//! The shipped policies refuse what the settings forbid, at once and with the mend.

use std::time::Duration;

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::{self, apply_yaml, parse},
    wait::{SHORT, wait_for},
};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use kube::{Api, api::DeleteParams};

use crate::chart;

fn model(more: &str) -> String {
    format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmModel
metadata: {{name: m}}
spec: {{source: {{huggingFace: {{repo: a/b, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}}}}{more}}}
"
    )
}

fn inline(more: &str) -> String {
    let source = "source: {huggingFace: {repo: a/b, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}}";
    format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmDeployment
metadata: {{name: d}}
spec: {{model: {{{source}{more}}}}}
"
    )
}

fn key(expires: &str) -> String {
    format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmApiKey
metadata: {{name: k}}
spec: {{hash: '{}', owner: ana@example.com{expires}}}
",
        "0a".repeat(32)
    )
}

/// What the API server says to each; deleted again where it was accepted.
async fn answer(cluster: &Cluster, namespace: &TestNamespace, yaml: &str) -> Result<(), String> {
    let object = &parse(yaml)[0];
    let answer = apply::apply(&cluster.client, &namespace.name, object).await.map_err(|error| error.to_string());
    if answer.is_ok() {
        apply::delete(&cluster.client, &namespace.name, object).await;
    }
    answer.map(|_| ())
}

#[tokio::test]
async fn what_the_cluster_requires_is_refused_when_it_is_missing() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "admission").await;
    let watched = format!("watchNamespaces=[\"{}\"]", namespace.name);
    let set = [
        watched.as_str(),
        r#"require={"digest":true,"signature":true,"encryption":true,"storageClassNames":["encrypted"]}"#,
        "admission.maxKeyDays=90",
    ];
    let kinds = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    let objects = chart::render(&namespace.name, &namespace.name, &set, &kinds);
    assert_eq!(objects.len(), 4);
    // From before there was a policy.
    let old = |state: &str| key(state).replace("name: k", "name: old");
    apply_yaml(&cluster.client, &namespace.name, &old("")).await;
    for object in &objects {
        chart::apply(&cluster.client, object).await;
    }
    let whole = ", digest: 'sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', \
                 signature: {publicKeySecretName: s}, encryption: {keySecretName: k}, storage: {storageClassName: encrypted}";
    // The API server learns of policies a moment later.
    wait_for("the policies to hold", SHORT, async || match answer(&cluster, &namespace, &model("")).await {
        Err(told) if told.contains("must be pinned") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    wait_for("the policy of keys to hold", SHORT, async || match answer(&cluster, &namespace, &key("")).await {
        Err(told) if told.contains("--expires 90d") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    for (missing, word) in [
        ("digest: 'sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'", "must be pinned"),
        ("signature: {publicKeySecretName: s}", "must be signed"),
        ("encryption: {keySecretName: k}", "must be kept encrypted"),
        ("storage: {storageClassName: encrypted}", "must be one of encrypted"),
    ] {
        let part = whole.replace(&format!(", {missing}"), "");
        assert_ne!(part, whole);
        for yaml in [model(&part), inline(&part)] {
            let told = answer(&cluster, &namespace, &yaml).await.expect_err("it should be refused");
            assert!(told.contains(word), "without {missing}: {told}");
        }
    }
    for yaml in [
        model(whole),
        inline(whole),
        "apiVersion: alcazar.dev/v1alpha1\nkind: LlmDeployment\nmetadata: {name: d}\nspec: {modelName: m}\n".to_owned(),
    ] {
        assert_eq!(answer(&cluster, &namespace, &yaml).await, Ok(()), "{yaml}");
    }
    let at = |days: u64| {
        let time = std::time::SystemTime::now() + Duration::from_secs(days * 86_400);
        let seconds = time.duration_since(std::time::UNIX_EPOCH).expect("a time after 1970").as_secs();
        let time = k8s_openapi::jiff::Timestamp::from_second(i64::try_from(seconds).expect("a time")).expect("a time");
        format!(", expiresAt: '{time}'")
    };
    assert_eq!(answer(&cluster, &namespace, &key(&at(89))).await, Ok(()));
    assert!(answer(&cluster, &namespace, &key(&at(91))).await.is_err_and(|told| told.contains("90 days")));
    apply_yaml(&cluster.client, &namespace.name, &old(", state: Revoked")).await;
    for object in &objects {
        let name = object.metadata.name.clone().unwrap_or_default();
        if object.types.as_ref().is_some_and(|types| types.kind == kinds[0]) {
            let api: Api<ValidatingAdmissionPolicy> = Api::all(cluster.client.clone());
            api.delete(&name, &DeleteParams::default()).await.expect("the policy should be deletable");
        } else {
            let api: Api<ValidatingAdmissionPolicyBinding> = Api::all(cluster.client.clone());
            api.delete(&name, &DeleteParams::default()).await.expect("the binding should be deletable");
        }
    }
    namespace.close().await;
}
