//! What a Job gets to verify signatures and to encrypt: mounted files, never variables. Pure.

use alcazar_contract::paths;
use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, SecretVolumeSource, Volume};

use super::super::validate::{Protection, SignedBy};

const SIGNATURE_VOLUME: &str = "signature";
const ENCRYPTION_VOLUME: &str = "encryption";
/// Owner and group may read; the group is the pod's.
const SECRET_MODE: i32 = 0o440;

/// A Secret as files.
pub(super) fn secret_volume(name: &str, secret_name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret_name.to_owned()),
            default_mode: Some(SECRET_MODE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

pub(super) fn volumes(protection: &Protection) -> impl Iterator<Item = Volume> {
    let signature = protection.signature.as_ref().map(|signature| match signature {
        SignedBy::Key(secret) => secret_volume(SIGNATURE_VOLUME, &secret.name),
        SignedBy::Roots(name) => Volume {
            name: SIGNATURE_VOLUME.to_owned(),
            config_map: Some(ConfigMapVolumeSource { name: name.clone(), ..ConfigMapVolumeSource::default() }),
            ..Volume::default()
        },
    });
    let encryption = protection.encryption.as_ref().map(|secret| secret_volume(ENCRYPTION_VOLUME, &secret.name));
    signature.into_iter().chain(encryption)
}

/// Names of volumes and where they go.
pub(super) fn mounts(protection: &Protection) -> impl Iterator<Item = (&'static str, &'static str)> {
    let signature = protection.signature.as_ref().map(|_| (SIGNATURE_VOLUME, paths::SIGNATURE));
    let encryption = protection.encryption.as_ref().map(|_| (ENCRYPTION_VOLUME, paths::ENCRYPTION));
    signature.into_iter().chain(encryption)
}

/// As `alcazar-runtime fetch` and `verify` parse them.
pub(super) fn arguments(protection: &Protection) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut flag = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
    match &protection.signature {
        None => {}
        Some(SignedBy::Key(_)) => flag("signature-key", format!("{}/{}", paths::SIGNATURE, paths::SIGNATURE_KEY)),
        Some(SignedBy::Roots(_)) => flag("signature-roots", format!("{}/{}", paths::SIGNATURE, paths::SIGNATURE_ROOTS)),
    }
    if protection.encryption.is_some() {
        flag("encryption-key-dir", paths::ENCRYPTION.to_owned());
    }
    arguments
}
