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

#[test]
fn the_gateway_is_refused_what_cannot_work() {
    check("gateway.replicas=0", "/gateway/replicas");
    check("gateway.host=\"\"", "'host' not allowed");
    check(r#"gateway.extraNames=["https://models.example.com"]"#, "/gateway/extraNames/0");
    check(r#"gateway.service.type="ExternalName""#, "/gateway/service/type");
    check("gateway.allowFrom=[{}]", "/gateway/allowFrom/0");
    check(r#"gateway.vpn.endpoint="vpn.example.com""#, "/gateway/vpn/endpoint");
    check(r#"gateway.vpn.cidr="fd00::/64""#, "/gateway/vpn/cidr");
    check(r#"require.storageClassNames=[""]"#, "/require/storageClassNames/0");
    check(r#"isolation.publicTarget="203.0.113.7""#, "/isolation/publicTarget");
    let two = refusal(&["gateway.replicas=2", r#"gateway.audit.claimName="audit""#]);
    assert!(two.contains("each replica writes a chain of its own"), "{two}");
}
