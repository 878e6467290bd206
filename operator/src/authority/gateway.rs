//! Keeps what the gateway needs in the operator's namespace: its two certificates, and the VPN's key. Client required.
//!
//! Secrets are never watched, so each is read by name now and then. In the steady state nothing is written. A Secret of one
//! of these names that the operator did not make is left alone.

use std::{collections::BTreeMap, time::Duration};

use alcazar_contract::{gateway, labels};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Authority, CA_CRT, CertificateError, FINGERPRINT, KnownLeaf, Leaf, LeafNames, LeafVerdict, NOT_AFTER, TLS_CRT,
    TLS_KEY, apply::EnsureError, judge, vpn,
};
use crate::{
    context::{Context, FIELD_MANAGER},
    settings::Gateway,
};

/// A Secret that was deleted is made anew within this time; a certificate is due for a month before it ends.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// After a failure.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Why the gateway's objects are not all in place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// There is no authority to sign with.
    #[error("failed to get the certificate authority")]
    Authority { source: EnsureError },
    /// The Secret could not be read.
    #[error("failed to read Secret {name}")]
    Read { name: &'static str, source: kube::Error },
    /// No certificate could be made.
    #[error("failed to make the certificate for Secret {name}")]
    Issue { name: &'static str, source: CertificateError },
    /// The object could not be written.
    #[error("failed to write {kind} {name}")]
    Write { kind: &'static str, name: &'static str, source: kube::Error },
    /// Somebody else's.
    #[error("Secret {name} exists and is not the operator's: delete it, or name another one in gateway.tlsSecretName")]
    Foreign { name: &'static str },
    /// The VPN's key.
    #[error("failed to keep the key of the VPN")]
    Vpn { source: vpn::Error },
}

/// Looks after the gateway's objects until `stop`; a failure is logged, counted and tried again. Only the leader runs it.
pub(crate) async fn keep(ctx: &Context, stop: CancellationToken) {
    let settings = &ctx.settings.gateway;
    if !settings.enabled {
        stop.cancelled().await;
        return;
    }
    loop {
        let wait = match ensure(ctx, settings).await {
            Ok(()) => LOOK_AGAIN,
            Err(failure) => {
                let cause = std::error::Error::source(&failure).map(ToString::to_string).unwrap_or_default();
                warn!(error = %failure, cause, "the gateway's certificates or keys are not in place; trying again");
                ctx.metrics.reconcile_failed("gateway", "CertificateUnavailable");
                TRY_AGAIN
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

async fn ensure(ctx: &Context, settings: &Gateway) -> Result<(), Error> {
    let now = ctx.clock.now();
    let authority = ctx.authority.get(&ctx.client, now).await.map_err(|source| Error::Authority { source })?;
    // All are tried, so that one that fails holds back no other.
    let client = ensure_leaf(ctx, &authority, gateway::CLIENT_SECRET, &LeafNames::of_gateway_client(), now).await;
    let public = match &settings.tls_secret_name {
        Some(_) => Ok(()),
        None => ensure_leaf(ctx, &authority, gateway::TLS_SECRET, &public_names(&ctx.namespace, settings), now).await,
    };
    let vpn = if settings.vpn.enabled { vpn::ensure(ctx, &settings.vpn).await } else { Ok(()) };
    client.and(public).and(vpn.map_err(|source| Error::Vpn { source }))
}

/// Inside the tunnel the gateway is known by its address.
fn public_names(namespace: &str, settings: &Gateway) -> LeafNames {
    let vpn = settings.vpn.enabled.then(|| settings.vpn.gateway_address().to_string());
    LeafNames::of_gateway(namespace, settings.extra_names.iter().cloned().chain(vpn))
}

async fn ensure_leaf(
    ctx: &Context,
    authority: &Authority,
    name: &'static str,
    names: &LeafNames,
    now: Timestamp,
) -> Result<(), Error> {
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &ctx.namespace);
    let stored = secrets.get_opt(name).await.map_err(|source| Error::Read { name, source })?;
    if stored.as_ref().is_some_and(|stored| !is_ours(&stored.metadata)) {
        return Err(Error::Foreign { name });
    }
    let verdict = judge(stored.as_ref().and_then(read).as_ref(), authority, names, now);
    if verdict == LeafVerdict::Keep {
        return Ok(());
    }
    let failed = |source| Error::Write { kind: "Secret", name, source };
    if let (LeafVerdict::StaleBundle, Some(stored)) = (verdict, &stored) {
        info!(secret = name, "writing a new bundle for the gateway");
        let uid = stored.metadata.uid.as_deref().unwrap_or_default();
        let body = bundle(uid, &authority.bundle_pem(now));
        return secrets.patch(name, &merge_params(), &Patch::Merge(body)).await.map(drop).map_err(failed);
    }
    let leaf = authority.issue(names, now).map_err(|source| Error::Issue { name, source })?;
    info!(secret = name, ?verdict, not_after = %leaf.not_after, "writing a new certificate for the gateway");
    let secret = secret(name, &ctx.namespace, &leaf, &authority.bundle_pem(now));
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = secrets.patch(name, &params, &Patch::Apply(secret)).await;
    written.map(drop).map_err(failed)
}

/// What replaces the bundle of that very Secret and nothing else in it, as a merge patch.
pub(crate) fn bundle(uid: &str, bundle_pem: &str) -> Value {
    json!({"metadata": {"uid": uid}, "data": {CA_CRT: ByteString(bundle_pem.as_bytes().to_vec())}})
}

/// For [`bundle`].
pub(crate) fn merge_params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn read(secret: &Secret) -> Option<KnownLeaf> {
    let data = secret.data.as_ref()?;
    let file = |key: &str| data.get(key).map(|bytes| bytes.0.as_slice());
    KnownLeaf::read(file(TLS_CRT)?, file(TLS_KEY)?, file(CA_CRT)?)
}

fn secret(name: &str, namespace: &str, leaf: &Leaf, ca_pem: &str) -> Secret {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let annotations = BTreeMap::from([
        (NOT_AFTER.to_owned(), leaf.not_after.to_string()),
        (FINGERPRINT.to_owned(), leaf.fingerprint.clone()),
    ]);
    Secret {
        metadata: ObjectMeta { annotations: Some(annotations), ..metadata(name, namespace) },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(BTreeMap::from([
            (TLS_CRT.to_owned(), bytes(&leaf.certificate_pem)),
            (TLS_KEY.to_owned(), bytes(leaf.key_pem.expose())),
            (CA_CRT.to_owned(), bytes(ca_pem)),
        ])),
        ..Secret::default()
    }
}

pub(super) fn metadata(name: &str, namespace: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some(BTreeMap::from([(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned())])),
        ..ObjectMeta::default()
    }
}

pub(super) fn is_ours(meta: &ObjectMeta) -> bool {
    let label = meta.labels.as_ref().and_then(|labels| labels.get(labels::MANAGED_BY));
    label.is_some_and(|value| value == labels::MANAGED_BY_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_kept_at_the_next_look() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let authority = Authority::for_tests(now);
        let settings: Gateway = serde_yaml::from_str(
            "{extraNames: [models.example.com], vpn: {enabled: true, endpoint: 'vpn.example.com:51820'}}",
        )
        .unwrap();
        let names = public_names("alcazar-system", &settings);
        let leaf = authority.issue(&names, now).unwrap();
        let stored = secret(gateway::TLS_SECRET, "alcazar-system", &leaf, &authority.bundle_pem(now));
        assert!(is_ours(&stored.metadata));
        assert_eq!(judge(read(&stored).as_ref(), &authority, &names, now), LeafVerdict::Keep);
        let without_vpn = public_names("alcazar-system", &Gateway::default());
        let leaf = authority.issue(&without_vpn, now).unwrap();
        let stored = secret(gateway::TLS_SECRET, "alcazar-system", &leaf, &authority.bundle_pem(now));
        assert_eq!(judge(read(&stored).as_ref(), &authority, &names, now), LeafVerdict::WrongNames);
        assert!(!is_ours(&ObjectMeta::default()), "cert-manager's");
    }
}
