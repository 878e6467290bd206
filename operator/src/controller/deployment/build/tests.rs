//! Golden manifests: a deployment in, every object out. And the promises that hold for all of them.

use serde::Serialize;

use super::*;
use crate::{
    authority::CA_CRT,
    controller::deployment::test_support::{World, now, settings},
};

const SETTINGS: &str = "
runtimeCudaImage: registry.example/alcazar/runtime-cuda:0.1.0
imagePullSecretNames: [mirror]
propagatedLabels: [team]
metricsFrom:
- {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}
defaults: {cpu: '2'}
";

fn built(fixture: &str) -> Resources<Prepared> {
    let mut world = World::of(fixture);
    world.settings = settings(SETTINGS);
    build(&world.valid().unwrap(), &world.plan(), &World::tls())
}

fn render(resources: &Resources<Prepared>) -> String {
    let mut text = String::new();
    let mut all = |objects: Vec<serde_json::Value>| {
        for object in objects {
            text.push_str("---\n");
            text.push_str(&serde_yaml::to_string(&object).unwrap());
        }
    };
    all(values(&resources.models));
    all(values(&resources.service_accounts));
    all(values(&resources.secrets));
    all(values(&resources.claims));
    all(values(&resources.network_policies));
    all(values(&resources.services));
    all(values(&resources.disruption_budgets));
    all(values(&resources.jobs));
    all(values(&resources.deployments));
    text
}

fn values<T: Serialize>(objects: &[T]) -> Vec<serde_json::Value> {
    objects.iter().map(|object| serde_json::to_value(object).unwrap()).collect()
}

macro_rules! golden {
    ($($name:ident: $file:literal,)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!($file, render(&built(include_str!(concat!("../testdata/", $file, ".yaml")))));
        })*

        const FIXTURES: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../testdata/", $file, ".yaml"))),)*];
    };
}

golden! {
    smallest: "smallest",
    not_sealed_yet: "not-sealed-yet",
    gpu: "gpu",
    replicas: "replicas",
    network: "network",
    suspended: "suspended",
    own_volume: "own-volume",
    encrypted: "encrypted",
}

#[test]
fn building_twice_gives_the_same() {
    for (name, fixture) in FIXTURES {
        assert_eq!(render(&built(fixture)), render(&built(fixture)), "{name}");
    }
}

/// What Pod Security `restricted` asks for (field notes 3.1), walked over the pod as it goes to the API server.
#[test]
fn every_pod_passes_restricted_and_more() {
    let mut pods = 0;
    for (name, fixture) in FIXTURES {
        for deployment in values(&built(fixture).deployments) {
            let pod = &deployment["spec"]["template"]["spec"];
            restricted(name, pod);
            stricter_than_restricted(name, pod);
            pods += 1;
        }
    }
    assert!(pods >= 5, "{pods}");
}

fn restricted(name: &str, pod: &serde_json::Value) {
    for field in ["hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers", "ephemeralContainers"] {
        assert!(pod[field].is_null(), "{name}: {field}");
    }
    let context = &pod["securityContext"];
    assert_eq!(context["runAsNonRoot"], true, "{name}");
    assert!(context["runAsUser"].as_i64().is_some_and(|uid| uid >= 10_000), "{name}");
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{name}");
    for field in ["sysctls", "seLinuxOptions", "appArmorProfile", "windowsOptions"] {
        assert!(context[field].is_null(), "{name}: {field}");
    }
    for volume in pod["volumes"].as_array().unwrap() {
        let kinds: Vec<_> = volume.as_object().unwrap().keys().filter(|key| *key != "name").collect();
        assert!(kinds == ["persistentVolumeClaim"] || kinds == ["secret"], "{name}: {kinds:?}");
    }
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["privileged"], false, "{name}");
        assert_eq!(context["runAsNonRoot"], true, "{name}");
        assert_eq!(context["capabilities"], serde_json::json!({"drop": ["ALL"], "add": []}), "{name}");
        assert!(context["procMount"].is_null(), "{name}");
        for port in container["ports"].as_array().unwrap() {
            assert!(port["hostPort"].is_null(), "{name}");
        }
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert!(container[probe]["httpGet"]["host"].is_null() && container[probe].is_object(), "{name}: {probe}");
        }
        assert!(container["lifecycle"]["preStop"]["sleep"]["seconds"].is_number(), "{name}");
    }
}

fn stricter_than_restricted(name: &str, pod: &serde_json::Value) {
    assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
    assert_eq!(pod["enableServiceLinks"], false, "{name}");
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{name}");
    let node =
        serde_json::json!([{"name": "NODE_ADDRESSES", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIPs"}}}]);
    assert_eq!(container["env"], node, "{name}: nothing else comes by environment");
    assert!(container["envFrom"].is_null(), "{name}");
    assert!(container["command"].is_null(), "{name}");
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert_eq!(mount["readOnly"], true, "{name}");
    }
    for kind in ["requests", "limits"] {
        for resource in ["cpu", "memory", "ephemeral-storage"] {
            assert!(container["resources"][kind][resource].is_string(), "{name}: {kind} {resource}");
        }
    }
    let grace = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    let drain =
        container["args"].as_array().unwrap().iter().skip_while(|arg| *arg != "--drain-seconds").nth(1).unwrap();
    assert!(grace > drain.as_str().unwrap().parse::<i64>().unwrap() + 5, "{name}");
}

#[test]
fn the_firewall_lets_nothing_out_and_nobody_in_by_default() {
    for (name, fixture) in FIXTURES {
        let policy = values(&built(fixture).network_policies).remove(0);
        let spec = &policy["spec"];
        assert_eq!(spec["policyTypes"], serde_json::json!(["Ingress", "Egress"]), "{name}");
        assert_eq!(spec["egress"], serde_json::json!([]), "{name}");
        for rule in spec["ingress"].as_array().unwrap() {
            assert!(rule["from"].as_array().is_some_and(|from| !from.is_empty()), "{name}: an empty list is everybody");
            assert!(rule["ports"].as_array().is_some_and(|ports| ports.len() == 1), "{name}");
        }
        assert!(!spec["podSelector"]["matchLabels"].as_object().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn no_child_carries_what_others_own() {
    for (name, fixture) in FIXTURES {
        let text = render(&built(fixture));
        assert!(!text.contains("app.kubernetes.io/instance"), "{name}: Argo CD would take it for its own");
    }
}

#[test]
fn startup_grows_with_the_model_and_memory_too() {
    let seconds = |size_bytes| {
        let probe = container::startup_probe(size_bytes);
        i64::from(probe.period_seconds.unwrap()) * i64::from(probe.failure_threshold.unwrap())
    };
    assert!(seconds(0) >= 900);
    assert!(seconds(140_000_000_000) > seconds(16_000_000_000));
    assert!(seconds(u64::MAX) > 0);
    assert_eq!(container::memory_for(98_306_048).0, "704Mi");
    assert_eq!(container::memory_for(0).0, "512Mi");
    assert!(!container::memory_for(u64::MAX).0.is_empty());
}

#[test]
fn the_secret_holds_what_the_pods_mount_and_says_when_it_ends() {
    let world = World::assistant();
    let authority = crate::authority::Authority::for_tests(now());
    let leaf = authority.issue(&crate::authority::LeafNames::of("assistant", "team-a"), now()).unwrap();
    let issued = Issued { leaf: leaf.clone(), ca_pem: authority.bundle_pem(now()) };
    let tls = Tls { fingerprint: leaf.fingerprint.clone(), issued: Some(issued) };
    let mut built = build(&world.valid().unwrap(), &world.plan(), &tls);
    let secret = built.secrets.remove(0);
    assert_eq!(secret.metadata.name.as_deref(), Some("assistant-tls"));
    assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
    let data = secret.data.unwrap();
    assert_eq!(data[CA_CRT].0, authority.bundle_pem(now()).as_bytes());
    assert!(data["tls.key"].0.starts_with(b"-----BEGIN PRIVATE KEY-----"));
    assert_eq!(secret.metadata.annotations.unwrap()["alcazar.dev/certificate-not-after"], "2027-02-21T08:00:00Z");
    let deployment = serde_json::to_string(&built.deployments).unwrap();
    assert!(deployment.contains(&leaf.fingerprint[..16]) && !deployment.contains("PRIVATE KEY"));
}

/// Every deployment of `examples/`, with its model sealed.
#[test]
fn what_the_examples_become() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut n_deployments = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let text = std::fs::read_to_string(file).unwrap();
        for document in text.split("\n---\n").filter(|document| document.contains("\nkind: LlmDeployment")) {
            let mut world = World::of(document);
            world.settings = settings(SETTINGS);
            world.has_sealed_model();
            let built = build(&world.valid().unwrap(), &world.plan(), &World::tls());
            let name = world.object.metadata.name.clone().unwrap();
            insta::assert_snapshot!(format!("example-{name}"), render(&built));
            n_deployments += 1;
        }
    }
    assert!(n_deployments >= 6, "the examples should have been found, but only {n_deployments} deployments were");
}
