use alcazar_crds::llm_model::{ClaimSource, HttpFile as SpecFile, HttpSource, ModelSource, ModelStorage};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimSpec, VolumeResourceRequirements};
use kube::api::ObjectMeta;
use proptest::prelude::*;

use super::*;
use crate::controller::model::tests::{World, settings};

#[test]
fn refusals_say_what_to_write() {
    let hub = |endpoint: &str| {
        let mut world = World::smol();
        world.edit(|spec| spec.source.hugging_face.as_mut().unwrap().endpoint = Some(endpoint.into()));
        world
    };
    let source = |source: ModelSource| {
        let mut world = World::smol();
        world.edit(|spec| {
            spec.source = source;
        });
        world
    };
    let on_claim = |path: &str| ModelSource {
        persistent_volume_claim: Some(ClaimSource { claim_name: "c".into(), path: Some(path.into()) }),
        ..ModelSource::default()
    };
    let mut sized = World::smol();
    sized.edit(|spec| {
        spec.storage = Some(ModelStorage { size: Some(Quantity("-1".into())), ..ModelStorage::default() });
    });
    for (world, reason, words) in [
        (hub("http://169.254.169.254"), ModelReason::SourceNotAllowed, "plain http is for hosts on the allow-list"),
        (hub("https://169.254.169.254"), ModelReason::SourceNotAllowed, "not a public address"),
        (hub("file:///weights"), ModelReason::SourceNotAllowed, "the scheme 'file' is not allowed"),
        (
            hub("https://kubernetes.default.svc"),
            ModelReason::SourceNotAllowed,
            "add 'kubernetes.default.svc' to allowedHosts",
        ),
        (source(ModelSource::default()), ModelReason::InvalidSpec, "must name exactly one source"),
        (source(on_claim("../other")), ModelReason::InvalidSpec, "persistentVolumeClaim.path is '../other'"),
        (source(on_claim("/etc")), ModelReason::InvalidSpec, "must be a relative path"),
        (sized, ModelReason::InvalidSpec, "spec.storage.size is '-1'"),
    ] {
        let invalid = world.valid().unwrap_err();
        assert_eq!(invalid.reason(), reason, "{invalid}");
        assert!(invalid.to_string().contains(words), "{invalid}");
    }
}

#[test]
fn the_id_follows_what_is_fetched_and_nothing_else() {
    let base = World::smol();
    let changed = |change: fn(&mut LlmModelSpec)| {
        let mut world = base.clone();
        world.edit(change);
        world.valid().unwrap().id
    };
    let id = base.valid().unwrap().id;
    assert_eq!(id.len(), 8);
    assert_eq!(
        changed(|spec| spec.storage = Some(ModelStorage { size: Some(Quantity("99Gi".into())), ..Default::default() })),
        id
    );
    assert_eq!(changed(|spec| spec.source.hugging_face.as_mut().unwrap().token_secret_name = Some("t".into())), id);
    assert_ne!(changed(|spec| spec.digest = Some(format!("sha256:{}", "0".repeat(64)))), id);
    assert_ne!(changed(|spec| spec.source.hugging_face.as_mut().unwrap().revision = "0".repeat(40)), id);
    let mut elsewhere = base.clone();
    elsewhere.settings.hugging_face_endpoint = "http://hub.hub.svc".into();
    elsewhere.settings.runtime_image = "another".into();
    assert_eq!(elsewhere.valid().unwrap().id, id, "another mirror or runtime does not fetch again");
}

#[test]
fn a_volume_never_shrinks_nor_changes_its_class() {
    let mut world = World::of(include_str!("../testdata/retained.yaml"));
    let requests = [("storage".to_owned(), Quantity("100Gi".into()))].into();
    world.observed.own_claim = Some(PersistentVolumeClaim {
        metadata: ObjectMeta::default(),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: Some("slow".into()),
            resources: Some(VolumeResourceRequirements { requests: Some(requests), ..Default::default() }),
            ..Default::default()
        }),
        status: None,
    });
    let Work::Fetch { storage, .. } = world.valid().unwrap().work else { unreachable!() };
    assert_eq!(
        (storage.size.0.as_str(), storage.class.as_deref(), storage.modes),
        ("100Gi", Some("slow"), vec!["ReadWriteOnce".to_owned()])
    );
    world.edit(|spec| spec.storage.as_mut().unwrap().size = Some(Quantity("200Gi".into())));
    let Work::Fetch { storage, .. } = world.valid().unwrap().work else { unreachable!() };
    assert_eq!(storage.size.0, "200Gi", "it may grow");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "https?://[a-z0-9.:@/%\\[\\]-]{0,30}",
        "(https|file|http)://[a-z.]{1,20}(:[0-9]{1,6})?/[a-z]{0,5}"
    ]
}

fn any_source() -> impl Strategy<Value = ModelSource> {
    let hub = (any_text(), any_text(), proptest::option::of(any_text())).prop_map(|(repo, revision, endpoint)| {
        HuggingFaceSource { repo, revision, endpoint, ..HuggingFaceSource::default() }
    });
    let file = (any_text(), any_text(), proptest::option::of(any_text()));
    let http = proptest::collection::vec(file, 0..3).prop_map(|files| HttpSource {
        files: files.into_iter().map(|(url, sha256, path)| SpecFile { url, sha256, path }).collect(),
        auth_secret_name: None,
    });
    let claim =
        (any_text(), proptest::option::of(any_text())).prop_map(|(claim_name, path)| ClaimSource { claim_name, path });
    (proptest::option::of(hub), proptest::option::of(http), proptest::option::of(claim)).prop_map(
        |(hugging_face, http, persistent_volume_claim)| ModelSource { hugging_face, http, persistent_volume_claim },
    )
}

fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

proptest! {
    /// Whatever got past the API server, this never panics, and what it accepts has valid names and only allowed hosts.
    #[test]
    fn never_panics(source in any_source(), size in any_text(), name in "[a-z]([a-z0-9-]{0,46}[a-z0-9])?") {
        let mut world = World::smol();
        world.model.metadata.name = Some(name.clone());
        world.edit(|spec| {
            spec.source = source;
            spec.storage = Some(ModelStorage { size: Some(Quantity(size)), ..ModelStorage::default() });
        });
        if let Ok(valid) = world.valid() {
            prop_assert!(is_dns_label(&job_name(&name, &valid.id)));
            prop_assert!(is_dns_label(&claim_name(&name)));
            if let Work::Fetch { hosts, .. } = &valid.work {
                prop_assert!(!hosts.is_empty());
                prop_assert!(hosts.iter().all(|host| host.allowed == settings().allows_host(&host.name)));
            }
            let built = world.build();
            prop_assert_eq!(built.network_policies.len(), 1);
        }
    }
}

#[test]
fn what_the_settings_require_is_refused_with_the_mend() {
    let with = |require: &str| -> Settings {
        serde_yaml::from_str(&format!("{{runtimeImage: 'r:1', require: {require}}}")).unwrap()
    };
    let model: LlmModel = serde_yaml::from_str(include_str!("../testdata/hugging-face.yaml")).unwrap();
    let mut model = model;
    model.metadata.uid = Some("u".to_owned());
    model.spec.digest = None;
    for (rule, reason, mend) in [
        ("{digest: true}", "DigestRequired", "spec.digest"),
        ("{signature: true}", "SignatureRequired", "spec.signature"),
        ("{encryption: true}", "EncryptionRequired", "spec.encryption.keySecretName"),
        ("{storageClassNames: [encrypted]}", "StorageClassNotAllowed", "allow encrypted"),
    ] {
        let refused = validate(&model, None, &with(rule)).unwrap_err();
        assert_eq!(refused.reason().as_str(), reason);
        assert!(refused.to_string().contains(mend), "{refused}");
    }
    let protected: LlmModel = serde_yaml::from_str(include_str!("../testdata/protected.yaml")).unwrap();
    let mut protected = protected;
    protected.metadata.uid = Some("u".to_owned());
    validate(&protected, None, &with("{signature: true, encryption: true}")).unwrap();
    protected.spec.storage =
        Some(serde_json::from_value(serde_json::json!({"storageClassName": "encrypted"})).unwrap());
    validate(&protected, None, &with("{storageClassNames: [encrypted]}")).unwrap();
    assert_eq!(class_trouble(None, &[]), None);
    assert_ne!(id(&protected.spec), id(&LlmModelSpec { encryption: None, ..protected.spec.clone() }));
}
