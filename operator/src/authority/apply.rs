//! Keeps the authority in the cluster: Secret with certificate and key, ConfigMap with the certificate. Client required.
//!
//! The first leader creates the Secret with a plain create: whoever loses the race takes what the winner wrote.
//! A damaged Secret is never overwritten: clients trust what it held, so a person decides. A deleted one is made anew, and what
//! the ConfigMap still holds is handed over from: see [`super::handover`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alcazar_contract::labels;
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use tokio::{sync::Mutex, time::Instant};
use tracing::{info, warn};

use super::{
    Authority, CA_CRT, CA_NAME, CertificateError, FINGERPRINT, NOT_AFTER, OLDER_CRT, TLS_CRT, TLS_KEY, TOOK_OVER,
    ca::{MadeAuthority, is_due},
    handover::Handover,
};

/// How long an authority that was read is used before it is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnsureError {
    /// The Secret could not be read.
    #[error("failed to read Secret {namespace}/{CA_NAME}")]
    ReadSecret { namespace: String, source: kube::Error },
    /// The Secret could not be created.
    #[error("failed to create Secret {namespace}/{CA_NAME}")]
    CreateSecret { namespace: String, source: kube::Error },
    /// The renewed certificate could not be stored.
    #[error("failed to renew the certificate in Secret {namespace}/{CA_NAME}")]
    RenewSecret { namespace: String, source: kube::Error },
    /// The public bundle could not be read.
    #[error("failed to read ConfigMap {namespace}/{CA_NAME}")]
    ReadBundle { namespace: String, source: kube::Error },
    /// The public bundle could not be written.
    #[error("failed to apply ConfigMap {namespace}/{CA_NAME}")]
    ApplyBundle { namespace: String, source: kube::Error },
    /// What the Secret holds is no authority.
    #[error(
        "Secret {namespace}/{CA_NAME} holds no usable authority: restore it from a backup, or delete it and let every client trust the new one"
    )]
    Damaged { namespace: String, source: CertificateError },
    /// No authority could be made.
    #[error("failed to make a certificate authority")]
    Make { source: CertificateError },
}

/// The authority as the cluster holds it, read when first asked for and now and then again.
#[derive(Debug)]
pub(crate) struct AuthorityStore {
    namespace: String,
    field_manager: &'static str,
    known: Mutex<Option<(Instant, Arc<Authority>)>>,
}

impl AuthorityStore {
    /// For the operator's own namespace.
    pub(crate) fn new(namespace: impl Into<String>, field_manager: &'static str) -> Self {
        Self { namespace: namespace.into(), field_manager, known: Mutex::new(None) }
    }

    /// The authority, made if the cluster has none. Only the leader asks.
    pub(crate) async fn get(&self, client: &Client, now: Timestamp) -> Result<Arc<Authority>, EnsureError> {
        // Held across the calls on purpose: a hundred deployments that start at once read the Secret once.
        let mut known = self.known.lock().await;
        if let Some((read_at, authority)) = known.as_ref()
            && read_at.elapsed() < READ_AGAIN_AFTER
        {
            return Ok(Arc::clone(authority));
        }
        let authority = Arc::new(self.ensure(client, now).await?);
        *known = Some((Instant::now(), Arc::clone(&authority)));
        Ok(authority)
    }

    async fn ensure(&self, client: &Client, now: Timestamp) -> Result<Authority, EnsureError> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        let stored = self.read(&secrets).await?;
        let stored = match stored {
            Some(stored) => stored,
            None => self.create(client, &secrets, now).await?,
        };
        let authority =
            parse(&stored, now).map_err(|source| EnsureError::Damaged { namespace: self.namespace.clone(), source })?;
        let authority =
            if is_due(not_after(&stored), now) { self.renew(&secrets, &authority, now).await? } else { authority };
        self.publish(client, &authority, now).await?;
        Ok(authority)
    }

    async fn read(&self, secrets: &Api<Secret>) -> Result<Option<Secret>, EnsureError> {
        let read = secrets.get_opt(CA_NAME).await;
        read.map_err(|source| EnsureError::ReadSecret { namespace: self.namespace.clone(), source })
    }

    async fn create(&self, client: &Client, secrets: &Api<Secret>, now: Timestamp) -> Result<Secret, EnsureError> {
        let MadeAuthority { authority, not_after } =
            Authority::create(now).map_err(|source| EnsureError::Make { source })?;
        let handover = self.published(client).await?.and_then(|bundle| Handover::after(&bundle, now));
        if let Some(handover) = &handover {
            let (signs_all, older_until) = (handover.introduced_until(), handover.kept_until());
            warn!(%signs_all, %older_until, "a new certificate authority takes over; let every client have the new bundle");
        }
        let made = MadeAuthority { authority: authority.after(handover), not_after };
        let params = PostParams { field_manager: Some(self.field_manager.to_owned()), ..PostParams::default() };
        match secrets.create(&params, &self.secret(&made)).await {
            Ok(created) => Ok(created),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let lost_race = || kube::Error::Api(status.clone());
                self.read(secrets)
                    .await?
                    .ok_or_else(|| EnsureError::CreateSecret { namespace: self.namespace.clone(), source: lost_race() })
            }
            Err(source) => Err(EnsureError::CreateSecret { namespace: self.namespace.clone(), source }),
        }
    }

    async fn renew(&self, secrets: &Api<Secret>, old: &Authority, now: Timestamp) -> Result<Authority, EnsureError> {
        let made = old.renew(now).map_err(|source| EnsureError::Make { source })?;
        let params = PatchParams::apply(self.field_manager).force();
        let patched = secrets.patch(CA_NAME, &params, &Patch::Apply(self.secret(&made))).await;
        patched.map_err(|source| EnsureError::RenewSecret { namespace: self.namespace.clone(), source })?;
        info!(not_after = %made.not_after, "renewed the certificate authority's certificate with its key");
        Ok(made.authority)
    }

    /// The bundle as clients have it.
    async fn published(&self, client: &Client) -> Result<Option<String>, EnsureError> {
        let bundles: Api<ConfigMap> = Api::namespaced(client.clone(), &self.namespace);
        let read = bundles.get_opt(CA_NAME).await;
        let live = read.map_err(|source| EnsureError::ReadBundle { namespace: self.namespace.clone(), source })?;
        Ok(live.and_then(|live| live.data?.remove(CA_CRT)))
    }

    /// Writes the public bundle when it is missing or differs, so that a restart writes nothing.
    async fn publish(&self, client: &Client, authority: &Authority, now: Timestamp) -> Result<(), EnsureError> {
        let failed = |source| EnsureError::ApplyBundle { namespace: self.namespace.clone(), source };
        let bundles: Api<ConfigMap> = Api::namespaced(client.clone(), &self.namespace);
        let wanted = BTreeMap::from([(CA_CRT.to_owned(), authority.bundle_pem(now))]);
        let live = bundles.get_opt(CA_NAME).await.map_err(failed)?;
        if live.is_some_and(|live| live.data.as_ref() == Some(&wanted)) {
            return Ok(());
        }
        let bundle = ConfigMap { metadata: self.metadata(None), data: Some(wanted), ..ConfigMap::default() };
        let params = PatchParams::apply(self.field_manager).force();
        bundles.patch(CA_NAME, &params, &Patch::Apply(bundle)).await.map_err(failed)?;
        Ok(())
    }

    fn secret(&self, made: &MadeAuthority) -> Secret {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let mut data = BTreeMap::from([
            (TLS_CRT.to_owned(), bytes(made.authority.certificate_pem())),
            (TLS_KEY.to_owned(), bytes(made.authority.key_pem().expose())),
        ]);
        data.extend(made.authority.handover().map(|handover| (OLDER_CRT.to_owned(), bytes(&handover.pem()))));
        Secret {
            metadata: self.metadata(Some(made)),
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(data),
            ..Secret::default()
        }
    }

    fn metadata(&self, made: Option<&MadeAuthority>) -> ObjectMeta {
        let annotations = made.map(|made| {
            let took_over =
                made.authority.handover().map(|handover| (TOOK_OVER.to_owned(), handover.since().to_string()));
            let made = [
                (NOT_AFTER.to_owned(), made.not_after.to_string()),
                (FINGERPRINT.to_owned(), made.authority.fingerprint().to_owned()),
            ];
            made.into_iter().chain(took_over).collect()
        });
        ObjectMeta {
            name: Some(CA_NAME.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(BTreeMap::from([(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned())])),
            annotations,
            ..ObjectMeta::default()
        }
    }
}

fn not_after(secret: &Secret) -> Option<Timestamp> {
    time(secret, NOT_AFTER)
}

fn time(secret: &Secret, annotation: &str) -> Option<Timestamp> {
    secret.metadata.annotations.as_ref()?.get(annotation)?.parse().ok()
}

fn parse(secret: &Secret, now: Timestamp) -> Result<Authority, CertificateError> {
    let text = |key: &str| {
        let data = secret.data.as_ref()?.get(key)?;
        std::str::from_utf8(&data.0).ok()
    };
    let certificate = text(TLS_CRT).ok_or(CertificateError::ReadCertificate)?;
    let key = text(TLS_KEY).ok_or(CertificateError::ReadKey)?;
    let handover =
        text(OLDER_CRT).zip(time(secret, TOOK_OVER)).and_then(|(older, since)| Handover::after(older, since));
    Ok(Authority::read(certificate, key, now)?.after(handover))
}

#[cfg(test)]
mod tests;
