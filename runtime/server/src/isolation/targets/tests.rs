//! Arguments and a network in, targets out.

use super::*;

fn network() -> Network {
    Network {
        gateways: vec!["10.244.0.1:0".parse().unwrap()],
        link_local: vec!["[fe80::1%2]:0".parse().unwrap()],
        resolvers: vec!["10.96.0.10".parse().unwrap()],
        is_settling: false,
    }
}

fn texts(given: &Given) -> Vec<String> {
    given.targets(&network()).iter().map(ToString::to_string).collect()
}

#[test]
fn the_node_is_tried_at_every_address_it_has() {
    let given = Given {
        targets: vec!["Canary=10.96.3.4:8083".parse().unwrap()],
        nodes: vec!["192.0.2.5".parse().unwrap(), "fd00::5".parse().unwrap()],
        node_ports: vec![(TargetKind::Kubelet, 10250), (TargetKind::ApiServer, 6443)],
        resolvers: true,
    };
    let wanted = [
        "Canary=10.96.3.4:8083",
        "Kubelet=192.0.2.5:10250",
        "ApiServer=192.0.2.5:6443",
        "Kubelet=[fd00::5]:10250",
        "ApiServer=[fd00::5]:6443",
        "Kubelet=10.244.0.1:10250",
        "ApiServer=10.244.0.1:6443",
        "Kubelet=[fe80::1%2]:10250",
        "ApiServer=[fe80::1%2]:6443",
        "Dns=10.96.0.10:53/udp",
        "Dns=10.96.0.10:53",
    ];
    assert_eq!(texts(&given), wanted);
}

#[test]
fn what_is_named_twice_is_tried_once() {
    let named = ["ApiServer=10.244.0.1:6443", "Extra=10.244.0.1:6443"];
    let given = Given {
        targets: named.map(|text| text.parse().unwrap()).into(),
        node_ports: vec![(TargetKind::ApiServer, 6443)],
        ..Given::default()
    };
    assert_eq!(texts(&given), ["ApiServer=10.244.0.1:6443", "ApiServer=[fe80::1%2]:6443"]);
}

#[test]
fn a_process_outside_a_cluster_tries_what_it_is_told_alone() {
    let given = Given { targets: vec!["127.0.0.1:1".parse().unwrap()], ..Given::default() };
    assert_eq!(texts(&given), ["Extra=127.0.0.1:1"]);
    assert!(Given::default().is_empty() && !given.is_empty());
}
