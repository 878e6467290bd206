use super::*;

fn load_text(text: &str) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yaml");
    std::fs::write(&path, text).unwrap();
    load(&path).map_err(|failure| failure.to_string())
}

#[test]
fn little_is_needed() {
    let settings = load_text("runtimeImage: r:1").unwrap();
    assert_eq!(settings.hugging_face_endpoint, "https://huggingface.co");
    assert_eq!(settings.image_pull_policy, ImagePullPolicy::IfNotPresent);
    assert!(settings.watch_namespaces.is_empty() && !settings.allows_host("hub.hub.svc"));
    assert!(settings.gateway.enabled && !settings.gateway.vpn.enabled);
    assert_eq!(settings.gateway.vpn.cidr.to_string(), "10.88.0.0/16");
    assert!(!settings.require.digest && settings.isolation.public_target.is_empty());
}

#[test]
fn all_of_it() {
    let settings = load_text(
        "
runtimeImage: r:1
runtimeCudaImage: c:1
imagePullPolicy: Never
imagePullSecretNames: [registry]
adminListen: 127.0.0.1:0
watchNamespaces: [team-a]
huggingFaceEndpoint: http://hub.hub.svc
allowedHosts: [hub.hub.svc, 10.0.0.7]
sourceCidrs: {huggingface.co: [203.0.113.0/24, '2001:db8::/32']}
propagatedLabels: [team]
metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
defaults: {storageClassName: fast, storageSize: 30Gi, cpu: 500m, memory: 2Gi}
gateway:
  enabled: true
  tlsSecretName: gateway-public
  extraNames: [models.example.com, '*.models.example.com', 203.0.113.7, '2001:db8::7']
  vpn: {enabled: true, endpoint: 'vpn.example.com:51820', cidr: 10.9.0.0/24, gatewayAddress: 10.9.0.9}
require: {digest: true, signature: true, encryption: true, storageClassNames: [encrypted]}
isolation: {publicTarget: '203.0.113.7:443', extraTargets: ['[2001:db8::7]:443', '10.1.1.1:5432']}
",
    )
    .unwrap();
    assert!(settings.allows_host("hub.hub.svc"));
    assert_eq!(settings.defaults.storage_class_name.as_deref(), Some("fast"));
    assert_eq!(settings.gateway.vpn.gateway_address().to_string(), "10.9.0.9");
    assert_eq!(settings.require.storage_class_names, ["encrypted"]);
    assert_eq!(settings.isolation.extra_targets.len(), 2);
}

#[test]
fn says_which_field_and_what_to_write() {
    for (text, words) in [
        ("{}", "missing field `runtimeImage`"),
        ("runtimeImage: ''", "runtimeImage is \"\"; it must be an image reference"),
        ("{runtimeImage: r, runtimeimage: x}", "unknown field `runtimeimage`"),
        ("{runtimeImage: r, huggingFaceEndpoint: hub}", "huggingFaceEndpoint is \"hub\"; it must be an http(s) URL"),
        ("{runtimeImage: r, watchNamespaces: [Team]}", "watchNamespaces[0] is \"Team\""),
        ("{runtimeImage: r, allowedHosts: ['http://x']}", "allowedHosts[0] is \"http://x\""),
        ("{runtimeImage: r, sourceCidrs: {a.example: ['1.2.3']}}", "sourceCidrs.a.example[0] is \"1.2.3\""),
        ("{runtimeImage: r, defaults: {cpu: '-1'}}", "defaults.cpu is \"-1\"; it must be a positive quantity"),
        ("{runtimeImage: r, imagePullPolicy: Sometimes}", "unknown variant `Sometimes`"),
        ("{runtimeImage: r, gateway: {vpn: {enabled: true}}}", "gateway.vpn.endpoint is \"\"; it must be host:port"),
        (
            "{runtimeImage: r, gateway: {enabled: false, vpn: {enabled: true, endpoint: 'a:1'}}}",
            "gateway.vpn.enabled is \"true\"; it must be false while",
        ),
        ("{runtimeImage: r, gateway: {vpn: {cidr: 10.88.0.7/16}}}", "it must be the first address of its range"),
        ("{runtimeImage: r, gateway: {vpn: {cidr: 10.88.0.0/31}}}", "it must be an IPv4 range from /8 to /30"),
        ("{runtimeImage: r, gateway: {vpn: {cidr: 'fd00::/64'}}}", "failed to parse the settings file"),
        ("{runtimeImage: r, gateway: {vpn: {gatewayAddress: 10.89.0.1}}}", "it must be an address of a host inside"),
        ("{runtimeImage: r, gateway: {vpn: {gatewayAddress: 10.88.0.0}}}", "it must be an address of a host inside"),
        ("{runtimeImage: r, gateway: {extraNames: ['https://x']}}", "gateway.extraNames[0] is \"https://x\""),
        ("{runtimeImage: r, gateway: {tlsSecretName: A_b}}", "gateway.tlsSecretName is \"A_b\""),
        ("{runtimeImage: r, require: {storageClassNames: ['']}}", "require.storageClassNames[0] is \"\""),
        ("{runtimeImage: r, isolation: {publicTarget: 203.0.113.7}}", "isolation.publicTarget is \"203.0.113.7\""),
        ("{runtimeImage: r, isolation: {publicTarget: 'example.com:443'}}", "a model pod resolves no names"),
        ("{runtimeImage: r, isolation: {extraTargets: ['a:0']}}", "isolation.extraTargets[0] is \"a:0\""),
        ("runtimeImage: [", "failed to parse the settings file"),
    ] {
        let fault = load_text(text).unwrap_err();
        assert!(fault.contains(words), "{text}: {fault}");
    }
    assert!(load(Path::new("/nowhere/settings.yaml")).unwrap_err().to_string().contains("failed to read"));
}
