//! The pods of operator and gateway pass Pod Security "restricted" and more.

use serde_yaml::Value;

use crate::{
    gateway::VPN,
    render::{helm, list, name, of_kind, render, the, the_gateways},
};

#[test]
fn the_pods_are_restricted() {
    let objects = render(&[VPN]);
    for deployment in [the(&objects, "Deployment"), the_gateways(&objects, "Deployment")] {
        is_restricted(&deployment["spec"]["template"]["spec"]);
    }
}

#[track_caller]
fn is_restricted(spec: &Value) {
    let pod = &spec["securityContext"];
    assert_eq!(pod["runAsNonRoot"], true);
    assert!(pod["runAsUser"].as_u64() >= Some(10_000), "a high user id");
    assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault");
    for forbidden in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
        assert!(spec[forbidden].is_null(), "{forbidden}");
    }
    for volume in list(&spec["volumes"]) {
        assert!(!volume["configMap"].is_null() || !volume["secret"].is_null(), "{volume:?}");
    }
    for container in list(&spec["containers"]) {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["capabilities"]["drop"][0], "ALL");
        assert!(context["capabilities"]["add"].is_null() && context["privileged"].is_null());
        for probe in ["livenessProbe", "readinessProbe"] {
            assert!(!container[probe]["httpGet"]["port"].is_null(), "{probe}");
            assert!(container[probe]["httpGet"]["host"].is_null(), "{probe} must not name a host");
        }
        for resource in ["cpu", "memory"] {
            assert!(!container["resources"]["limits"][resource].is_null(), "a limit for {resource}");
            assert!(!container["resources"]["requests"][resource].is_null(), "a request for {resource}");
        }
    }
}

#[test]
fn secrets_do_not_come_by_the_environment() {
    let objects = render(&[]);
    for deployment in [the(&objects, "Deployment"), the_gateways(&objects, "Deployment")] {
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert!(container["envFrom"].is_null());
        for variable in container["env"].as_sequence().into_iter().flatten() {
            assert!(variable["valueFrom"]["secretKeyRef"].is_null(), "{variable:?}");
        }
    }
}

#[test]
fn a_second_replica_brings_a_budget() {
    assert!(of_kind(&render(&[]), "PodDisruptionBudget").is_empty());
    let two = render(&["replicas=2"]);
    assert_eq!(the(&two, "PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    assert!(!the(&two, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"].is_null());
}

#[test]
fn images_can_be_pinned_by_digest() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let set = format!(r#"image.digests={{"operator":"{digest}","runtime":"{digest}"}}"#);
    let objects = render(&[&set, r#"image.registry="registry.example.com/ai""#]);
    let image = &the(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(*image, format!("registry.example.com/ai/operator@{digest}"));
    let settings = the(&objects, "ConfigMap")["data"]["settings.yaml"].as_str().unwrap_or_default().to_owned();
    assert!(settings.contains(&format!("runtimeImage: \"registry.example.com/ai/runtime@{digest}\"")), "{settings}");
}

#[test]
fn names_stay_within_63_characters() {
    let release = "a".repeat(53);
    let text = helm(&release, &["replicas=2"], &["monitoring.coreos.com/v1"])
        .expect("helm should take its longest release name");
    let names = text.lines().filter_map(|line| line.strip_prefix("  name: "));
    let long: Vec<_> = names.filter(|name| name.len() > 63).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn every_object_says_whose_it_is() {
    for object in render(&["replicas=2", "gateway.replicas=2", VPN])
        .iter()
        .filter(|object| object["kind"] != "CustomResourceDefinition")
    {
        let labels = &object["metadata"]["labels"];
        let program = labels["app.kubernetes.io/name"].as_str().unwrap_or_default();
        assert!(["alcazar-operator", "alcazar-gateway"].contains(&program), "{} {}", program, name(object));
        assert_eq!(labels["app.kubernetes.io/part-of"], "alcazar");
    }
}
