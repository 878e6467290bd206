use serde_json::{Value, json};

use super::*;

type Case = (&'static str, Value, Value, Option<&'static str>);

/// What the API server makes of what we send, and whether that is reason to apply again.
fn check(cases: Vec<Case>) {
    for (case, desired, live, expected) in cases {
        assert_eq!(difference(&desired, &live).as_deref(), expected, "{case}");
    }
}

#[test]
fn what_counts_as_a_difference() {
    check(vec![
        ("the same", json!({"spec": {"a": 1}}), json!({"spec": {"a": 1}}), None),
        (
            "a default of the API server",
            json!({"spec": {"a": 1}}),
            json!({"spec": {"a": 1, "revisionHistoryLimit": 10}}),
            None,
        ),
        (
            "status and server-side metadata",
            json!({"metadata": {"name": "x"}}),
            json!({"metadata": {"name": "x", "uid": "u", "resourceVersion": "7"}, "status": {"ready": 1}}),
            None,
        ),
        (
            "somebody's label",
            json!({"metadata": {"labels": {"a": "1"}}}),
            json!({"metadata": {"labels": {"a": "1", "team": "x"}}}),
            None,
        ),
        (
            "our label taken away",
            json!({"metadata": {"labels": {"a": "1"}}}),
            json!({"metadata": {"labels": {"team": "x"}}}),
            Some("metadata.labels.a"),
        ),
        (
            "all labels taken away",
            json!({"metadata": {"labels": {"a": "1"}}}),
            json!({"metadata": {}}),
            Some("metadata.labels"),
        ),
        (
            "our label edited",
            json!({"metadata": {"labels": {"a": "1"}}}),
            json!({"metadata": {"labels": {"a": "2"}}}),
            Some("metadata.labels.a"),
        ),
        ("null is what is not set", json!({"spec": {"a": null}}), json!({"spec": {}}), None),
        ("an empty list is not stored", json!({"spec": {"egress": []}}), json!({"spec": {}}), None),
        ("an empty text is not stored", json!({"spec": {"host": ""}}), json!({"spec": {}}), None),
        ("an empty map is not stored", json!({"metadata": {"annotations": {}}}), json!({"metadata": {}}), None),
        (
            "an empty selector means everything",
            json!({"from": [{"namespaceSelector": {}}]}),
            json!({"from": [{}]}),
            Some("from.0.namespaceSelector"),
        ),
        (
            "emptyDir {} is a kind of volume",
            json!({"volumes": [{"name": "t", "emptyDir": {}}]}),
            json!({"volumes": [{"name": "t"}]}),
            Some("volumes.t.emptyDir"),
        ),
        (
            "a list of rules opened up",
            json!({"spec": {"egress": []}}),
            json!({"spec": {"egress": [{}]}}),
            Some("spec.egress"),
        ),
        (
            "quantities by value",
            json!({"resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}),
            json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}),
            None,
        ),
        (
            "another quantity",
            json!({"resources": {"limits": {"cpu": "1"}}}),
            json!({"resources": {"limits": {"cpu": "2"}}}),
            Some("resources.limits.cpu"),
        ),
        (
            "sizeLimit is a quantity",
            json!({"emptyDir": {"sizeLimit": "0.5Gi"}}),
            json!({"emptyDir": {"sizeLimit": "512Mi"}}),
            None,
        ),
        ("a text that looks like one is none", json!({"args": ["1000m"]}), json!({"args": ["1"]}), Some("args.0")),
    ]);
}

#[test]
fn what_counts_as_a_difference_of_ports_and_peers() {
    check(vec![
        (
            "a port of a Service with defaults",
            json!({"ports": [{"name": "https", "port": 443, "targetPort": "https"}]}),
            json!({"ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https", "nodePort": 0}]}),
            None,
        ),
        (
            "a port of a Service edited",
            json!({"ports": [{"name": "https", "port": 443, "targetPort": 8443}]}),
            json!({"ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 9}]}),
            Some("ports.443.targetPort"),
        ),
        (
            "a port of a Service renumbered",
            json!({"ports": [{"name": "https", "port": 443}]}),
            json!({"ports": [{"name": "https", "port": 444, "protocol": "TCP"}]}),
            Some("ports.443"),
        ),
        (
            "another one's port of a Service",
            json!({"ports": [{"name": "https", "port": 443}]}),
            json!({"ports": [{"name": "x", "port": 1, "protocol": "TCP"}, {"name": "https", "port": 443, "protocol": "TCP"}]}),
            None,
        ),
        (
            "a container port with defaults",
            json!({"ports": [{"containerPort": 8443}]}),
            json!({"ports": [{"containerPort": 8443, "protocol": "TCP"}]}),
            None,
        ),
        (
            "a policy's ports are one value",
            json!({"ports": [{"port": 53, "protocol": "UDP"}]}),
            json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 80, "protocol": "TCP"}]}),
            Some("ports"),
        ),
        (
            "a policy's peers are one value",
            json!({"from": [{"podSelector": {"matchLabels": {"a": "1"}}}]}),
            json!({"from": [{"podSelector": {"matchLabels": {"a": "1"}}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]}),
            Some("from"),
        ),
        (
            "a label added inside a selector",
            json!({"podSelector": {"matchLabels": {"a": "1"}}}),
            json!({"podSelector": {"matchLabels": {"a": "1", "b": "2"}}}),
            Some("podSelector.matchLabels"),
        ),
    ]);
}

#[test]
fn what_counts_as_a_difference_of_pods() {
    check(vec![
        (
            "container defaults",
            json!({"containers": [{"name": "m", "image": "i"}]}),
            json!({"containers": [{"name": "m", "image": "i", "terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"}]}),
            None,
        ),
        (
            "an injected container",
            json!({"containers": [{"name": "m", "image": "i"}]}),
            json!({"containers": [{"name": "side", "image": "s"}, {"name": "m", "image": "i"}]}),
            None,
        ),
        (
            "an edited image",
            json!({"containers": [{"name": "m", "image": "i"}]}),
            json!({"containers": [{"name": "m", "image": "evil"}]}),
            Some("containers.m.image"),
        ),
        (
            "an argument added",
            json!({"containers": [{"name": "m", "args": ["serve"]}]}),
            json!({"containers": [{"name": "m", "args": ["serve", "--x"]}]}),
            Some("containers.m.args"),
        ),
        ("arguments in another order", json!({"args": ["a", "b"]}), json!({"args": ["b", "a"]}), Some("args.0")),
        (
            "a mount by its path",
            json!({"volumeMounts": [{"name": "w", "mountPath": "/w", "readOnly": true}]}),
            json!({"volumeMounts": [{"name": "w", "mountPath": "/w", "recursiveReadOnly": "Disabled", "readOnly": true}]}),
            None,
        ),
        (
            "a mount made writable",
            json!({"volumeMounts": [{"name": "w", "mountPath": "/w", "readOnly": true}]}),
            json!({"volumeMounts": [{"name": "w", "mountPath": "/w"}]}),
            Some("volumeMounts./w.readOnly"),
        ),
        (
            "a second owner",
            json!({"ownerReferences": [{"uid": "1", "controller": true}]}),
            json!({"ownerReferences": [{"uid": "2"}, {"uid": "1", "controller": true, "name": "x"}]}),
            None,
        ),
        (
            "our owner reference taken away",
            json!({"ownerReferences": [{"uid": "1"}]}),
            json!({"ownerReferences": []}),
            Some("ownerReferences.1"),
        ),
        (
            "probe defaults",
            json!({"startupProbe": {"httpGet": {"path": "/x", "port": "probe"}}}),
            json!({"startupProbe": {"httpGet": {"path": "/x", "port": "probe", "scheme": "HTTP"}, "failureThreshold": 3}}),
            None,
        ),
        (
            "a probe's port by another kind",
            json!({"httpGet": {"port": "probe"}}),
            json!({"httpGet": {"port": 8081}}),
            Some("httpGet.port"),
        ),
        ("replicas that we do not set", json!({"spec": {}}), json!({"spec": {"replicas": 7}}), None),
        (
            "a toleration's list is one value",
            json!({"tolerations": [{"key": "a"}]}),
            json!({"tolerations": [{"key": "a"}, {"key": "b"}]}),
            Some("tolerations"),
        ),
    ]);
}

#[test]
fn a_dropped_field_changes_the_stamp() {
    let stamped = |mut value: Value| {
        stamp(&mut value);
        value
    };
    let live = stamped(json!({"metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}}));
    let same = stamped(json!({"spec": {"b": 2, "a": 1}, "metadata": {"name": "x"}}));
    assert_eq!(difference(&same, &live), None, "the order of keys means nothing");
    let less = stamped(json!({"metadata": {"name": "x"}, "spec": {"a": 1}}));
    assert_eq!(difference(&less, &live).as_deref(), Some("metadata.annotations.alcazar.dev/applied-hash"));
}

#[test]
fn of_what_is_written_once_only_the_metadata_counts() {
    let desired = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"template": "new"}});
    let live = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"template": "old"}});
    assert_eq!(metadata_difference(&desired, &live), None);
    let bare = json!({"metadata": {}, "spec": {"template": "old"}});
    assert_eq!(metadata_difference(&desired, &bare).as_deref(), Some("metadata.labels"));
}

#[test]
fn what_must_not_be_there_is_taken_out() {
    let pod = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let desired = pod(json!([{"name": "m", "image": "i"}]));
    let with = |field: &str, value: Value| {
        let mut live = desired.clone();
        live["spec"]["template"]["spec"]["containers"][0][field] = value;
        live
    };
    let whole = json!({"spec": {"template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}}});
    let service = json!({"spec": {"ports": [{"name": "https", "port": 443}]}});
    for (case, desired, live, expected) in [
        ("nothing", &desired, desired.clone(), None),
        ("defaults", &desired, with("terminationMessagePath", json!("/dev/termination-log")), None),
        ("an empty list", &desired, with("env", json!([])), None),
        (
            "another container",
            &desired,
            pod(json!([{"name": "m", "image": "i"}, {"name": "spy", "image": "s"}])),
            Some(whole.clone()),
        ),
        ("a renamed container", &desired, pod(json!([{"name": "spy", "image": "i"}])), Some(whole.clone())),
        ("a variable", &desired, with("env", json!([{"name": "HTTPS_PROXY", "value": "x"}])), Some(whole.clone())),
        ("a command", &desired, with("command", json!(["sh"])), Some(whole)),
        (
            "an init container",
            &desired,
            json!({"spec": {"template": {"spec": {"initContainers": [{"name": "spy"}], "containers": [{"name": "m", "image": "i"}]}}}}),
            Some(json!({"spec": {"template": {"spec": {"initContainers": null}}}})),
        ),
        (
            "the node's network",
            &desired,
            json!({"spec": {"template": {"spec": {"hostNetwork": true, "containers": [{"name": "m", "image": "i"}]}}}}),
            Some(json!({"spec": {"template": {"spec": {"hostNetwork": null}}}})),
        ),
        (
            "a renumbered port",
            &service,
            json!({"spec": {"ports": [{"name": "https", "port": 8888, "protocol": "TCP"}]}}),
            Some(service.clone()),
        ),
        (
            "an annotation",
            &desired,
            json!({"metadata": {"annotations": {"a": "b"}}, "spec": desired["spec"].clone()}),
            None,
        ),
    ] {
        assert_eq!(surplus(desired, &live), expected, "{case}");
    }
}

#[test]
fn a_fingerprint_does_not_follow_the_status() {
    let desired = json!({"spec": {"a": 1}});
    let live = |version: &str, ready: u8, a: u8| json!({"metadata": {"uid": "u", "resourceVersion": version}, "spec": {"a": a}, "status": {"ready": ready}});
    assert_eq!(fingerprint(&desired, &live("1", 0, 2)), fingerprint(&desired, &live("2", 1, 2)));
    assert_ne!(fingerprint(&desired, &live("1", 0, 2)), fingerprint(&desired, &live("1", 0, 3)));
}

mod quantities {
    use proptest::prelude::*;

    use super::super::quantity::{self, parse};

    #[test]
    fn by_value() {
        for (left, right) in [
            ("1", "1000m"),
            ("1Gi", "1024Mi"),
            ("1G", "1000M"),
            ("0.5", "500m"),
            ("1e3", "1k"),
            ("1E3", "1k"),
            ("+1", "1"),
            ("100m", "0.1"),
            ("1.5Gi", "1536Mi"),
            ("0", "0m"),
            (".5", "500m"),
            ("12e-1", "1.2"),
        ] {
            assert_eq!(parse(left), parse(right), "{left} {right}");
            assert!(parse(left).is_some(), "{left}");
        }
        assert!(parse("1") < parse("1001m") && parse("-1") < parse("0") && parse("1M") < parse("1Mi"));
        for nonsense in ["", ".", "Gi", "1.2.3", "1 Gi", "1gb", "0x10", "1e", "1e99", "--1", "999999999999999999999"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
        assert_eq!(parse("1500m").and_then(quantity::Amount::ceil), Some(2));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }

        #[test]
        fn milli_units(n in 0u32..=u32::MAX) {
            prop_assert_eq!(parse(&format!("{n}")), parse(&format!("{}m", u64::from(n) * 1000)));
        }
    }
}
