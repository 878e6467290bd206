//! The schema refuses what would fail later, and says where.

use crate::render::refusal;

#[track_caller]
fn check(value: &str, says: &str) {
    let refusal = refusal(&[value]);
    assert!(refusal.contains(says), "{value} should be refused with {says:?}, but: {refusal}");
}

#[test]
fn unknown_values_are_refused() {
    check("replica=2", "'replica' not allowed");
    check("sources.hosts=[]", "'hosts' not allowed");
    check("image.digest=\"\"", "'digest' not allowed");
    check("defaults.gpu=1", "'gpu' not allowed");
}

#[test]
fn values_that_cannot_work_are_refused() {
    check("replicas=3", "/replicas");
    check("replicas=0", "/replicas");
    check(r#"watchNamespaces=["Team A"]"#, "/watchNamespaces/0");
    check(r#"image.pullPolicy="Sometimes""#, "/image/pullPolicy");
    check(r#"image.digests.operator="sha256:abc""#, "/image/digests/operator");
    check(r#"defaults.memory="lots""#, "/defaults/memory");
    check("networkPolicy.apiServer.ports=[]", "/networkPolicy/apiServer/ports");
    check("metrics.from=[{}]", "/metrics/from/0");
    check(r#"metrics.from=[{"ipBlock":{"cidr":"everywhere"}}]"#, "/metrics/from/0/ipBlock/cidr");
}

#[test]
fn sources_are_hosts_and_not_urls() {
    check(r#"sources.allowedHosts=["http://hub.hub.svc"]"#, "/sources/allowedHosts/0");
    check(r#"sources.allowedHosts=["hub.hub.svc/path"]"#, "/sources/allowedHosts/0");
    check(r#"sources.huggingFaceEndpoint="file:///etc""#, "/sources/huggingFaceEndpoint");
    check(r#"sources.huggingFaceEndpoint="https://user:secret@example.com""#, "/sources/huggingFaceEndpoint");
    check(r#"sources.cidrs={"example.com":["everything"]}"#, "/sources/cidrs");
}

#[test]
fn tracking_labels_are_not_propagated() {
    check(r#"propagatedLabels=["app.kubernetes.io/instance"]"#, "/propagatedLabels/0");
}
