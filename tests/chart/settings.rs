//! What the chart writes is what the operator reads.

use alcazar_operator::settings;

use crate::render::{render, the};

fn write_and_load(set: &[&str]) -> settings::Settings {
    let objects = render(set);
    let text = the(&objects, "ConfigMap")["data"]["settings.yaml"]
        .as_str()
        .expect("there should be a settings file")
        .to_owned();
    let folder = tempfile::tempdir().expect("a folder should be made");
    let file = folder.path().join("settings.yaml");
    std::fs::write(&file, &text).expect("the file should be written");
    settings::load(&file).unwrap_or_else(|failure| panic!("the operator should read\n{text}\nbut: {failure}"))
}

#[test]
fn the_defaults_are_read() {
    let settings = write_and_load(&[]);
    assert_eq!(settings.hugging_face_endpoint, "https://huggingface.co");
    assert_eq!(settings.runtime_image, "localhost/alcazar/runtime:0.1.0");
    assert_eq!(settings.runtime_cuda_image, "");
    assert_eq!(settings.defaults.storage_class_name, None);
    assert!(settings.watch_namespaces.is_empty() && settings.metrics_from.is_empty());
    assert!(settings.gateway.enabled && settings.gateway.tls_secret_name.is_none() && !settings.gateway.vpn.enabled);
    assert!(!settings.require.digest && settings.isolation.extra_targets.is_empty());
}

#[test]
fn every_value_arrives() {
    let settings = write_and_load(&[
        r#"image={"tag":"1.2.3","pullPolicy":"Never","pullSecretNames":["pull"]}"#,
        "cuda.enabled=true",
        r#"watchNamespaces=["team-a"]"#,
        r#"sources={"huggingFaceEndpoint":"http://hub.hub.svc","allowedHosts":["hub.hub.svc"],"cidrs":{"cdn.example.com":["192.0.2.0/24"]}}"#,
        r#"propagatedLabels=["cost-centre"]"#,
        r#"metrics.from=[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]"#,
        r#"gateway={"tlsSecretName":"public","extraNames":["models.example.com"],"vpn":{"enabled":true,"endpoint":"vpn.example.com:51820","cidr":"10.9.0.0/24","gatewayAddress":"10.9.0.9"}}"#,
        r#"require={"digest":true,"signature":true,"encryption":true,"storageClassNames":["encrypted"]}"#,
        r#"isolation={"publicTarget":"203.0.113.7:443","extraTargets":["[2001:db8::7]:443"]}"#,
        r#"defaults={"storageClassName":"fast","storageSize":"1Gi","cpu":"500m","memory":"2Gi"}"#,
    ]);
    assert_eq!(settings.runtime_image, "localhost/alcazar/runtime:1.2.3");
    assert_eq!(settings.runtime_cuda_image, "localhost/alcazar/runtime-cuda:1.2.3");
    assert_eq!(settings.image_pull_policy.as_str(), "Never");
    assert_eq!(settings.image_pull_secret_names, ["pull"]);
    assert_eq!(settings.watch_namespaces, ["team-a"]);
    assert_eq!(settings.hugging_face_endpoint, "http://hub.hub.svc");
    assert!(settings.allows_host("hub.hub.svc"));
    assert_eq!(settings.source_cidrs["cdn.example.com"], ["192.0.2.0/24"]);
    assert_eq!(settings.propagated_labels, ["cost-centre"]);
    assert_eq!(settings.metrics_from.len(), 1);
    assert_eq!(settings.gateway.tls_secret_name.as_deref(), Some("public"));
    assert_eq!(settings.gateway.extra_names, ["models.example.com"]);
    assert_eq!(settings.gateway.vpn.gateway_address().to_string(), "10.9.0.9");
    assert!(settings.require.digest && settings.require.signature && settings.require.encryption);
    assert_eq!(settings.require.storage_class_names, ["encrypted"]);
    assert_eq!(settings.isolation.public_target, "203.0.113.7:443");
    assert_eq!(settings.defaults.storage_class_name.as_deref(), Some("fast"));
    assert_eq!(
        (&*settings.defaults.storage_size.0, &*settings.defaults.cpu.0, &*settings.defaults.memory.0),
        ("1Gi", "500m", "2Gi")
    );
}

#[test]
fn a_change_of_settings_rolls_the_pod() {
    let hash = |set: &[&str]| {
        the(&render(set), "Deployment")["spec"]["template"]["metadata"]["annotations"]["alcazar.dev/settings-hash"]
            .clone()
    };
    assert_eq!(hash(&[]), hash(&[r#"log="debug""#]));
    assert_ne!(hash(&[]), hash(&[r#"propagatedLabels=["a"]"#]));
}
