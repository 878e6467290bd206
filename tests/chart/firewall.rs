//! The operator's own firewall, and that an empty list never means everybody.

use crate::render::{list, named, of_kind, render, the};

#[test]
fn without_peers_only_the_canary_answers() {
    let objects = render(&[]);
    let spec = &the(&objects, "NetworkPolicy")["spec"];
    assert_eq!(spec["policyTypes"].as_sequence().map(Vec::len), Some(2));
    let ingress = list(&spec["ingress"]);
    assert_eq!(ingress.len(), 1);
    assert_eq!(list(&ingress[0]["ports"])[0]["port"], alcazar_contract::CANARY_PORT);
    assert_eq!(list(&ingress[0]["from"]).len(), 1, "every pod, and nobody from outside");
}

#[test]
fn metrics_are_open_to_the_named_peers_only() {
    let peers = r#"metrics.from=[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]"#;
    let objects = render(&[peers]);
    let ingress = list(&the(&objects, "NetworkPolicy")["spec"]["ingress"]);
    assert_eq!(ingress.len(), 2);
    assert_eq!(list(&ingress[1]["from"]).len(), 1);
    assert_eq!(list(&ingress[1]["ports"])[0]["port"], 8080);
}

#[test]
fn what_goes_out_has_a_port() {
    for set in [&[][..], &[r#"watchNamespaces=["a"]"#], &[r#"networkPolicy.apiServer.cidrs=["10.0.0.1/32"]"#]] {
        let objects = render(set);
        for rule in list(&the(&objects, "NetworkPolicy")["spec"]["egress"]) {
            assert!(!list(&rule["ports"]).is_empty(), "{rule:?}");
            for port in list(&rule["ports"]) {
                assert!(!port["port"].is_null() && !port["protocol"].is_null(), "{port:?}");
            }
        }
    }
}

#[test]
fn the_dns_rule_wants_namespace_and_pod_at_once() {
    let objects = render(&[]);
    let dns = &list(&the(&objects, "NetworkPolicy")["spec"]["egress"])[0];
    let peers = list(&dns["to"]);
    assert_eq!(peers.len(), 1, "two peers would mean either");
    assert!(!peers[0]["namespaceSelector"].is_null() && !peers[0]["podSelector"].is_null());
}

#[test]
fn the_api_server_can_be_narrowed() {
    let objects = render(&[r#"networkPolicy.apiServer={"cidrs":["10.0.0.1/32"],"ports":[6443]}"#]);
    let egress = list(&the(&objects, "NetworkPolicy")["spec"]["egress"]);
    let rule = egress.iter().find(|rule| !list(&rule["to"]).is_empty() && !list(&rule["to"])[0]["ipBlock"].is_null());
    let rule = rule.expect("a rule for the API server");
    assert_eq!(list(&rule["to"])[0]["ipBlock"]["cidr"], "10.0.0.1/32");
    assert_eq!(list(&rule["ports"]).len(), 1);
}

#[test]
fn it_can_be_left_out() {
    assert!(of_kind(&render(&["networkPolicy.enabled=false"]), "NetworkPolicy").is_empty());
}

#[test]
fn the_canary_can_be_reached_by_the_operator_too() {
    let objects = render(&[]);
    let service = &named(&objects, "Service", "alcazar-canary")["spec"];
    assert_eq!(list(&service["ports"])[0]["port"], 8083);
    assert_eq!(service["selector"]["app.kubernetes.io/name"], "alcazar-operator");
    let egress = list(&the(&objects, "NetworkPolicy")["spec"]["egress"]);
    let own = egress.iter().find(|rule| list(&rule["ports"])[0]["port"] == 8083).expect("a rule for its own canary");
    let peer = &list(&own["to"])[0];
    assert_eq!(peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], "alcazar-operator");
    assert!(peer["namespaceSelector"].is_null(), "of its own namespace");
}
