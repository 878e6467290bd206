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
",
    )
    .unwrap();
    assert!(settings.allows_host("hub.hub.svc"));
    assert_eq!(settings.defaults.storage_class_name.as_deref(), Some("fast"));
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
        ("runtimeImage: [", "failed to parse the settings file"),
    ] {
        let fault = load_text(text).unwrap_err();
        assert!(fault.contains(words), "{text}: {fault}");
    }
    assert!(load(Path::new("/nowhere/settings.yaml")).unwrap_err().to_string().contains("failed to read"));
}
