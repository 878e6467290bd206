//! Sources that lead inside (SSRF), as somebody writes them who may edit the kinds of his own namespace and nothing else.

use alcazar_tests::{
    Cluster, TestNamespace,
    kinds::{deployments, models, wait_reason},
    operator::Operator,
    wait::SHORT,
};
use k8s_openapi::api::{batch::v1::Job, networking::v1::NetworkPolicy};
use kube::{
    Client, ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::namespace_admin::{ask, tenant};

/// By what they try.
const INSIDE: [(&str, &[&str]); 7] = [
    (
        "private addresses",
        &["https://10.0.0.1", "https://172.16.0.1:8443", "https://192.168.0.1", "https://100.64.0.1", "https://[fd12::1]"],
    ),
    (
        "link-local addresses and metadata services",
        &["https://169.254.169.254/latest", "https://[fe80::1]", "https://[fd00:ec2::254]", "https://metadata.google.internal"],
    ),
    ("the machine itself", &["https://127.0.0.1", "https://localhost", "https://[::1]", "https://0.0.0.0", "https://[::]"]),
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

fn object(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "alcazar.dev/v1alpha1", "kind": kind, "metadata": {"name": "m"}, "spec": spec})
}

/// The ways in which a URL comes into a spec.
fn forms(url: &str) -> [(Value, &'static str); 3] {
    let file = json!({"http": {"files": [{"url": format!("{url}/w.gguf"), "sha256": "0".repeat(64)}]}});
    let hub = json!({"huggingFace": {
        "endpoint": url, "repo": "a/b", "revision": "12fd25f77366fa6b3b4b768ec3050bf629380bac",
    }});
    [
        (object("LlmModel", &json!({"source": file})), "file of a model"),
        (object("LlmModel", &json!({"source": hub})), "endpoint of a model"),
        (object("LlmDeployment", &json!({"model": {"source": hub}})), "endpoint of a deployment's model"),
    ]
}

/// Refused when it is written, or not followed; in either case with words that help.
async fn refused(client: &Client, namespace: &TestNamespace, (spec, place): &(Value, &str), url: &str) {
    let message = match ask(client, &namespace.name, spec).await {
        Err(told) => {
            assert!(["url", "endpoint"].iter().any(|word| told.contains(word)), "{place}, {url}: {told}");
            return;
        }
        Ok(()) => wait_reason(&models(namespace), "m", "Stalled", ("True", "SourceNotAllowed"), SHORT).await,
    };
    assert!(["allowedHosts", "https", "Secret"].iter().any(|word| message.contains(word)), "{place}, {url}: {message}");
    assert!(!message.contains("hush-hush"), "{place}, {url}: {message}");
}

/// Neither a pod that could call, nor a firewall that would let it.
async fn nothing_was_made(namespace: &TestNamespace, url: &str) {
    let jobs = namespace.api::<Job>().list(&ListParams::default()).await.expect("the Jobs should be readable");
    assert!(jobs.items.is_empty(), "{url}: a Job was made");
    let policies = namespace.api::<NetworkPolicy>().list(&ListParams::default()).await;
    for policy in policies.expect("the policies should be readable") {
        assert!(!policy.name_any().ends_with("-fetch"), "{url}: the firewall was opened");
    }
}

async fn empty(namespace: &TestNamespace) {
    let (foreground, all) = (DeleteParams::foreground(), ListParams::default());
    deployments(namespace).delete_collection(&foreground, &all).await.expect("the deployments should be deletable");
    models(namespace).delete_collection(&foreground, &all).await.expect("the models should be deletable");
    alcazar_tests::wait::wait_for("the models to go", SHORT, async || {
        let left = models(namespace).list(&all).await.map_err(|error| error.to_string())?.items.len();
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    })
    .await;
}

#[tokio::test]
async fn a_tenants_source_leads_nowhere_inside() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "ssrf").await;
    let _operator = Operator::start(&cluster, &namespace);
    let tenant = tenant(&cluster, &namespace).await;
    for (_, urls) in INSIDE {
        for url in urls {
            for form in forms(url) {
                refused(&tenant, &namespace, &form, url).await;
                nothing_was_made(&namespace, url).await;
                empty(&namespace).await;
            }
        }
    }
    namespace.close().await;
}
