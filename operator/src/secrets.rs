//! What is known of Secrets: metadata only, read by name, remembered for a while. Never a list, never a watch: those would
//! need the right to read every Secret of the cluster. Client required.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::ObjectMeta};

use crate::{runner::backoff, store::Key};

/// A Secret that is missing is looked for this often while somebody waits for it.
pub const MISSING_FOR: Duration = Duration::from_secs(4);
/// One that is there is read again after this time, less up to a fifth.
pub const PRESENT_FOR: Duration = Duration::from_mins(5);

/// Metadata of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretMeta {
    /// Identity.
    pub uid: String,
    /// Changes with every write.
    pub resource_version: String,
    /// All of them.
    pub labels: BTreeMap<String, String>,
    /// All of them.
    pub annotations: BTreeMap<String, String>,
    /// UID of the controller in the owner references.
    pub controller_uid: Option<String>,
}

impl From<ObjectMeta> for SecretMeta {
    fn from(meta: ObjectMeta) -> Self {
        let controller_uid =
            meta.owner_references.into_iter().flatten().find(|o| o.controller == Some(true)).map(|owner| owner.uid);
        Self {
            uid: meta.uid.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
            labels: meta.labels.unwrap_or_default(),
            annotations: meta.annotations.unwrap_or_default(),
            controller_uid,
        }
    }
}

/// A Secret could not be looked up.
#[derive(Debug, thiserror::Error)]
#[error("failed to look up Secret {key}: {source}")]
pub struct Error {
    key: Key,
    /// What the API server or the network said.
    pub source: Box<kube::Error>,
}

/// What is known of the content of a Secret: which keys it has. Never a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretKeys {
    /// Changes with every write: uid and resourceVersion.
    pub version: String,
    /// Names of the keys that are not empty.
    pub keys: BTreeSet<String>,
}

/// A Secret, or that there is none, for as long as that is believed.
#[derive(Clone)]
struct Known<T> {
    secret: Option<T>,
    until: Instant,
}

/// The memory of Secrets.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
    known: Arc<Memory<Arc<SecretMeta>>>,
    content: Arc<Memory<SecretKeys>>,
}

impl Secrets {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, known: Arc::default(), content: Arc::default() }
    }

    /// What is known without asking: metadata of the Secret, at most a few minutes old, or that there was none a few
    /// seconds ago. `None`: nothing is known.
    #[must_use]
    pub fn known(&self, key: &Key) -> Option<Option<Arc<SecretMeta>>> {
        remembered(&self.known, key).map(|known| known.secret)
    }

    /// Metadata of the Secret as it is now.
    pub async fn read(&self, key: &Key) -> Result<Option<Arc<SecretMeta>>, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &key.namespace);
        let found = api
            .get_metadata_opt(&key.name)
            .await
            .map_err(|source| Error { key: key.clone(), source: Box::new(source) })?;
        Ok(found.map(|object| Arc::new(object.metadata.into())))
    }

    /// The keys of the Secret: read now if `anew`, else at most a few minutes old. `None`: it does not exist.
    pub async fn keys(&self, key: &Key, anew: bool) -> Result<Option<SecretKeys>, Error> {
        if !anew && let Some(known) = remembered(&self.content, key) {
            return Ok(known.secret);
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &key.namespace);
        let found =
            api.get_opt(&key.name).await.map_err(|source| Error { key: key.clone(), source: Box::new(source) })?;
        let keys = found.map(|secret| SecretKeys {
            version: [secret.metadata.uid, secret.metadata.resource_version].map(Option::unwrap_or_default).join("/"),
            keys: secret
                .data
                .into_iter()
                .flatten()
                .filter(|(_, value)| !value.0.is_empty())
                .map(|(key, _)| key)
                .collect(),
        });
        remember(&self.content, key, keys.clone());
        Ok(keys)
    }

    /// The API server's answer to a write of ours; `None` after a deletion.
    pub fn remember(&self, key: &Key, secret: Option<Arc<SecretMeta>>) {
        remember(&self.known, key, secret);
    }

    /// Forgets what is known, so that the next look goes to the API server.
    pub fn forget(&self, key: &Key) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

type Memory<T> = Mutex<HashMap<Key, Known<T>>>;

fn remembered<T: Clone>(memory: &Memory<T>, key: &Key) -> Option<Known<T>> {
    let all = memory.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(key).filter(|known| known.until > Instant::now()).cloned()
}

fn remember<T>(memory: &Memory<T>, key: &Key, secret: Option<T>) {
    let lifetime = if secret.is_some() { backoff::less_up_to_a_fifth(PRESENT_FOR, key) } else { MISSING_FOR };
    let mut all = memory.lock().unwrap_or_else(PoisonError::into_inner);
    // Now and then, so that what nobody asks for any more does not stay for ever.
    if all.len() >= 64 && all.len().is_power_of_two() {
        let now = Instant::now();
        all.retain(|_, known| known.until > now);
    }
    all.insert(key.clone(), Known { secret, until: Instant::now() + lifetime });
}
