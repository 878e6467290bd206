//! Sources that lead inside (SSRF), as somebody writes them who may edit the kinds of his own namespace and nothing else.

use alcazar_tests::{
    Cluster, TestNamespace,
    kinds::{models, wait_reason},
    operator::Operator,
    wait::SHORT,
};
use k8s_openapi::api::{batch::v1::Job, networking::v1::NetworkPolicy};
use kube::{ResourceExt, api::ListParams};
use serde_json::{Value, json};

use crate::namespace_admin::{ask, tenant};

/// By what they try.
const INSIDE: [(&str, &[&str]); 7] = [
    (
        "private addresses",
        &[
            "https://10.0.0.1",
            "https://172.16.0.1:8443",
            "https://192.168.0.1",
            "https://100.64.0.1",
            "https://[fd12::1]",
        ],
    ),
    (
        "link-local addresses and metadata services",
        &[
            "https://169.254.169.254/latest",
            "https://[fe80::1]",
            "https://[fd00:ec2::254]",
            "https://metadata.google.internal",
        ],
    ),
    (
        "the machine itself",
        &["https://127.0.0.1", "https://localhost", "https://[::1]", "https://0.0.0.0", "https://[::]"],
    ),
    (
        "IPv4 in IPv6",
        &[
            "https://[::ffff:10.0.0.1]",
            "https://[::ffff:a9fe:a9fe]",
            "https://[64:ff9b::a9fe:a9fe]",
            "https://[2002:a00:1::1]",
        ],
    ),
    (
        "other ways to write a number",
        &[
            "https://2130706433",
            "https://2852039166/latest",
            "https://0x7f000001",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://127.1",
            "https://0251.0376.0251.0376",
            "https://%31%32%37.0.0.1",
        ],
    ),
    (
        "a user in front of the host",
        &[
            "https://huggingface.co@169.254.169.254",
            "https://ana:hush-hush@10.0.0.1",
            "https://huggingface.co:443@127.0.0.1",
            "https://ana:hush-hush@huggingface.co",
        ],
    ),
    (
        "names of the cluster, and no TLS",
        &[
            "https://kubernetes",
            "https://kubernetes.default.svc",
            "https://KUBERNETES.default.SVC.cluster.local.",
            "https://alcazar-operator.alcazar-system.svc.example.org",
            "http://huggingface.co",
            "file:///etc/passwd",
            "ftp://huggingface.co",
        ],
    ),
];

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "alcazar.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The ways in which a URL comes into a spec: as a file of a model, as the hub of a model, and of a deployment's own model.
fn forms(n: usize, url: &str) -> [(String, Value); 3] {
    let file = json!({"http": {"files": [{"url": format!("{url}/w.gguf"), "sha256": "0".repeat(64)}]}});
    let hub = json!({"huggingFace": {
        "endpoint": url, "repo": "a/b", "revision": "12fd25f77366fa6b3b4b768ec3050bf629380bac",
    }});
    let (a, b, c) = (format!("file-{n}"), format!("hub-{n}"), format!("inline-{n}"));
    let models = [object("LlmModel", &a, &json!({"source": file})), object("LlmModel", &b, &json!({"source": hub}))];
    let inline = object("LlmDeployment", &c, &json!({"model": {"source": hub}}));
    let [file, hub] = models;
    [(a, file), (b, hub), (c, inline)]
}

/// Each is refused when it is written, or not followed; in either case with words that help, and nothing is made for it:
/// neither a pod that could call, nor a firewall that would let it.
#[tokio::test]
async fn a_tenants_source_leads_nowhere_inside() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "ssrf").await;
    let _operator = Operator::start(&cluster, &namespace);
    let tenant = tenant(&cluster, &namespace).await;
    let mut accepted = Vec::new();
    for (n, (what, url)) in INSIDE.iter().flat_map(|(what, urls)| urls.iter().map(move |url| (what, url))).enumerate() {
        for (name, spec) in forms(n, url) {
            match ask(&tenant, &namespace.name, &spec).await {
                Err(told) => {
                    assert!(["url", "endpoint"].iter().any(|word| told.contains(word)), "{what}, {url}: {told}");
                }
                Ok(()) => accepted.push((name, what, url)),
            }
        }
    }
    assert!(accepted.len() >= 60, "only {} came to the operator", accepted.len());
    for (name, what, url) in accepted {
        let message = wait_reason(&models(&namespace), &name, "Stalled", ("True", "SourceNotAllowed"), SHORT).await;
        assert!(
            ["allowedHosts", "https", "Secret"].iter().any(|word| message.contains(word)),
            "{what}, {name}, {url}: {message}"
        );
        assert!(!message.contains("hush-hush"), "{what}, {name}, {url}: {message}");
    }
    let all = ListParams::default();
    let jobs = namespace.api::<Job>().list(&all).await.expect("the Jobs should be readable").items;
    assert!(jobs.is_empty(), "{:?}", jobs.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
    for policy in namespace.api::<NetworkPolicy>().list(&all).await.expect("the policies should be readable") {
        assert!(!policy.name_any().ends_with("-fetch"), "{} opens the firewall", policy.name_any());
    }
    namespace.close().await;
}
