//! What is mounted into a model pod: weights, certificate, and the key of encrypted weights, all read-only. Pure.

use alcazar_contract::paths;
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume, VolumeMount};

use super::{Serving, ValidatedDeployment, tls_secret_name};

const WEIGHTS: &str = "weights";
const TLS: &str = "tls";
const ENCRYPTION: &str = "encryption";
/// Owner and group may read; the group is the pod's.
const SECRET_MODE: i32 = 0o440;

pub(super) fn build_volumes(valid: &ValidatedDeployment, serving: &Serving) -> Vec<Volume> {
    let secret = |name: &str, secret_name: &str| Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret_name.to_owned()),
            default_mode: Some(SECRET_MODE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let mut volumes = vec![
        Volume {
            name: WEIGHTS.to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: serving.claim_name.clone(),
                // Read-only from the volume up, so that Kubernetes does not touch the files' owners either.
                read_only: Some(true),
            }),
            ..Volume::default()
        },
        secret(TLS, &tls_secret_name(&valid.owner.name)),
    ];
    volumes.extend(serving.key_secret_name.as_ref().map(|name| secret(ENCRYPTION, name)));
    volumes
}

pub(super) fn build_mounts(serving: &Serving) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount(WEIGHTS, paths::WEIGHTS), mount(TLS, paths::TLS)];
    mounts.extend(serving.key_secret_name.as_ref().map(|_| mount(ENCRYPTION, paths::ENCRYPTION)));
    mounts
}
