//! The gateway as the chart installs it: ports, files, firewall, and that its names are those of the contract.

use alcazar_contract::{
    GATEWAY_PEER_PORT, GATEWAY_PORT, MODEL_PORT, PROBE_PORT, SERVICE_PORT, VPN_PORT, gateway, labels, paths, routes,
};
use serde_yaml::Value;

use crate::render::{list, name, of_kind, render, strings, the_gateways};

/// The chart's values with a VPN.
pub(crate) const VPN: &str = r#"gateway.vpn={"enabled":true,"endpoint":"vpn.example.com:51820"}"#;

fn settings(set: &[&str]) -> Value {
    let objects = render(set);
    let text = the_gateways(&objects, "ConfigMap")["data"]["gateway.yaml"].as_str().unwrap_or_default().to_owned();
    serde_yaml::from_str(&text).expect("the settings should be YAML")
}

/// Ports of the ingress or egress rules of the gateway's firewall, each with its peers.
fn doors(objects: &[Value], direction: &str) -> Vec<(Vec<u64>, usize)> {
    let spec = &the_gateways(objects, "NetworkPolicy")["spec"];
    let peers = if direction == "ingress" { "from" } else { "to" };
    let ports = |rule: &Value| list(&rule["ports"]).iter().filter_map(|port| port["port"].as_u64()).collect();
    list(&spec[direction]).iter().map(|rule| (ports(rule), rule[peers].as_sequence().map_or(0, Vec::len))).collect()
}

#[test]
fn objects_bear_the_names_that_programs_know() {
    let objects = render(&[VPN]);
    let services: Vec<_> = of_kind(&objects, "Service").into_iter().map(name).collect();
    for service in [gateway::SERVICE, gateway::PEERS_SERVICE, gateway::vpn::NAME] {
        assert!(services.contains(&service), "{service}: {services:?}");
    }
    let pod = &the_gateways(&objects, "Deployment")["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"][labels::APP_NAME], labels::APP_NAME_GATEWAY);
    let volumes = list(&pod["spec"]["volumes"]);
    let secrets: Vec<_> = volumes.iter().filter_map(|volume| volume["secret"]["secretName"].as_str()).collect();
    assert_eq!(secrets, [gateway::TLS_SECRET, gateway::CLIENT_SECRET, gateway::vpn::NAME]);
    let mounts = list(&pod["spec"]["containers"][0]["volumeMounts"]);
    for path in [paths::TLS, paths::GATEWAY_CLIENT, paths::VPN] {
        let mount = mounts.iter().find(|mount| mount["mountPath"] == path);
        assert_eq!(mount.expect("the path should be mounted")["readOnly"], true, "{path}");
    }
    // Found by the label that the gateway looks for endpoints with.
    let peers = of_kind(&objects, "Service").into_iter().find(|it| name(it) == gateway::PEERS_SERVICE);
    let peers = peers.expect("there should be a Service of the replicas");
    assert_eq!(peers["metadata"]["labels"][labels::APP_NAME], labels::APP_NAME_GATEWAY);
    assert_eq!(
        (&peers["spec"]["clusterIP"], &peers["spec"]["publishNotReadyAddresses"]),
        (&"None".into(), &Value::Null)
    );
}

#[test]
fn ports_are_those_of_the_contract() {
    let objects = render(&[VPN]);
    let container = &the_gateways(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let ports: Vec<_> = list(&container["ports"]).iter().filter_map(|port| port["containerPort"].as_u64()).collect();
    assert_eq!(ports, [GATEWAY_PORT, GATEWAY_PEER_PORT, PROBE_PORT, VPN_PORT].map(u64::from));
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], routes::LIVE);
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], routes::READY);
    assert_eq!(container["args"][0], "run");
    let public = of_kind(&objects, "Service").into_iter().find(|it| name(it) == gateway::SERVICE);
    let public = &public.expect("there should be a Service")["spec"];
    assert_eq!((&public["type"], &public["ports"][0]["port"]), (&"ClusterIP".into(), &SERVICE_PORT.into()));
    let vpn = of_kind(&objects, "Service").into_iter().find(|it| name(it) == gateway::vpn::NAME);
    let vpn = &vpn.expect("there should be a Service of the VPN")["spec"];
    assert_eq!((&vpn["sessionAffinity"], &vpn["ports"][0]["protocol"]), (&"ClientIP".into(), &"UDP".into()));
}

#[test]
fn its_settings_say_what_the_values_say() {
    let settings = settings(&[
        VPN,
        r#"watchNamespaces=["team-a"]"#,
        r#"gateway.hold={"seconds":5,"requests":7}"#,
        r#"gateway.limits={"maxBodyBytes":33554432,"maxConnections":100,"headerSeconds":3}"#,
        r#"gateway.audit={"claimName":"audit","maxBytes":1073741824,"keep":3}"#,
    ]);
    assert_eq!(strings(&settings["watchNamespaces"]), ["team-a"]);
    assert_eq!((&settings["hold"]["seconds"], &settings["hold"]["requests"]), (&5.into(), &7.into()));
    assert_eq!(settings["limits"]["maxBodyBytes"], 33_554_432, "a whole number, not a float");
    assert_eq!(settings["audit"]["maxBytes"], 1_073_741_824);
    assert_eq!(settings["audit"]["file"], "/audit/audit.jsonl");
    assert_eq!(settings["peers"]["service"], gateway::PEERS_SERVICE);
    assert_eq!(settings["vpn"]["privateKeyFile"], format!("{}/{}", paths::VPN, gateway::vpn::PRIVATE_KEY));
    assert_eq!((&settings["vpn"]["cidr"], &settings["vpn"]["address"]), (&"10.88.0.0/16".into(), &"10.88.0.1".into()));
}

#[test]
fn a_change_of_its_settings_rolls_its_pods_and_no_others() {
    let hash = |set: &[&str]| {
        let objects = render(set);
        let of = |deployment: &Value| {
            deployment["spec"]["template"]["metadata"]["annotations"]["alcazar.dev/settings-hash"].clone()
        };
        (of(crate::render::the(&objects, "Deployment")), of(the_gateways(&objects, "Deployment")))
    };
    let (operator, gateway) = hash(&[]);
    let changed = hash(&[r#"gateway.hold={"seconds":5,"requests":7}"#]);
    assert_eq!(changed.0, operator);
    assert_ne!(changed.1, gateway);
}

#[test]
fn nobody_comes_in_but_by_the_doors() {
    let port = |port: u16| vec![u64::from(port)];
    assert_eq!(doors(&render(&[]), "ingress"), [(port(GATEWAY_PEER_PORT), 1), (port(GATEWAY_PORT), 1)]);
    assert_eq!(doors(&render(&["gateway.allowFrom=[]"]), "ingress"), [(port(GATEWAY_PEER_PORT), 1)]);
    let metrics = r#"metrics.from=[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]"#;
    assert_eq!(
        doors(&render(&[VPN, metrics]), "ingress")[2..],
        [(port(PROBE_PORT), 1), (vec![u64::from(VPN_PORT)], 2)]
    );
}

#[test]
fn it_reaches_names_the_api_server_models_and_replicas() {
    let objects = render(&[]);
    let port = |port: u16| vec![u64::from(port)];
    assert_eq!(
        doors(&objects, "egress"),
        [(vec![53, 53], 1), (vec![443, 6443], 0), (port(MODEL_PORT), 1), (port(GATEWAY_PEER_PORT), 1)]
    );
}

#[test]
fn replicas_bring_a_budget_and_are_spread() {
    let one = render(&[]);
    assert!(of_kind(&one, "PodDisruptionBudget").is_empty());
    let two = render(&["gateway.replicas=2"]);
    assert_eq!(the_gateways(&two, "PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    assert!(!the_gateways(&two, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"].is_null());
}

#[test]
fn it_can_be_left_out() {
    let objects = render(&["gateway.enabled=false"]);
    let of_gateway = objects.iter().filter(|it| it["metadata"]["labels"][labels::APP_NAME] == labels::APP_NAME_GATEWAY);
    assert_eq!(of_gateway.count(), 0);
}

#[test]
fn a_certificate_of_somebody_else_is_mounted_and_not_touched() {
    let objects = render(&[r#"gateway.tlsSecretName="public""#]);
    let volumes = list(&the_gateways(&objects, "Deployment")["spec"]["template"]["spec"]["volumes"]).to_vec();
    assert!(volumes.iter().any(|volume| volume["secret"]["secretName"] == "public"));
    for role in of_kind(&objects, "Role") {
        for rule in list(&role["rules"]) {
            let named = rule["resourceNames"].as_sequence().cloned().unwrap_or_default();
            assert!(!named.contains(&"public".into()) && !named.contains(&gateway::TLS_SECRET.into()), "{rule:?}");
        }
    }
}
