//! Services and settings in, targets out.

use super::*;

fn service(yaml: &str) -> Service {
    serde_yaml::from_str(yaml).unwrap()
}

fn texts(targets: &Targets) -> Vec<String> {
    targets.named.iter().map(ToString::to_string).collect()
}

#[test]
fn an_address_that_pods_see() {
    assert_eq!(target("10.96.0.1", 443).as_deref(), Some("10.96.0.1:443"));
    assert_eq!(target("fd00::1", 443).as_deref(), Some("[fd00::1]:443"));
    assert_eq!(target("api.internal", 6443).as_deref(), Some("api.internal:6443"));
    for useless in ["127.0.0.1", "::1", "0.0.0.0", "", "None"] {
        assert_eq!(target(useless, 443), None, "{useless}");
    }
}

#[test]
fn a_cluster_of_both_families_is_tried_by_both() {
    let kubernetes = service(
        "spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00:96::1'], ports: [{port: 443, targetPort: 16443}]}",
    );
    let (canary, gateway) = (["10.96.4.4".to_owned(), "fd00:96::4".to_owned()], ["10.96.5.5".to_owned()]);
    let settings = Isolation {
        public_target: "203.0.113.7:443".to_owned(),
        extra_targets: vec!["10.1.1.1:5432".to_owned(), "10.96.0.1:443".to_owned()],
    };
    let found = targets(&ApiServer::of(&kubernetes), &canary, &gateway, &settings);
    let wanted = [
        "Canary=10.96.4.4:8083",
        "Canary=[fd00:96::4]:8083",
        "ApiServer=10.96.0.1:443",
        "ApiServer=[fd00:96::1]:443",
        "Neighbour=10.96.5.5:443",
        "Metadata=169.254.169.254:80",
        "Metadata=[fd00:ec2::254]:80",
        "Public=203.0.113.7:443",
        "Extra=10.1.1.1:5432",
    ];
    assert_eq!(texts(&found), wanted);
    let ports = [(TargetKind::Kubelet, 10_250), (TargetKind::Kubelet, 10_255), (TargetKind::ApiServer, 16_443)];
    assert_eq!(found.node_ports, ports);
}

#[test]
fn a_service_that_tells_little_is_enough() {
    let kubernetes = service("spec: {clusterIP: 10.96.0.1}");
    let found = targets(&ApiServer::of(&kubernetes), &[], &["None".to_owned()], &Isolation::default());
    let wanted = ["ApiServer=10.96.0.1:443", "Metadata=169.254.169.254:80", "Metadata=[fd00:ec2::254]:80"];
    assert_eq!(texts(&found), wanted);
    assert_eq!(found.node_ports[2], (TargetKind::ApiServer, 6443));
}
