//! Turns an LlmModel into what can be built: nothing after this step has a reason to refuse it. Pure.

use alcazar_contract::source::{FetchSource, HttpFile};
use alcazar_crds::{
    llm_model::{AccessMode, HttpSource, HuggingFaceSource, LlmModel, LlmModelSpec, Retention},
    reasons::ModelReason,
};
use k8s_openapi::{api::core::v1::PersistentVolumeClaim, apimachinery::pkg::api::resource::Quantity};

use super::host::{self, SourceHost};
use crate::{
    children::{Owner, OwnerKind},
    compare::{self, quantity},
    settings::Settings,
};

mod protection;
#[cfg(test)]
mod tests;

pub(crate) use protection::{Protection, SignedBy, class_trouble};

/// Why a model cannot be worked on: a person must change something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// The source must not be asked.
    #[error("{0}")]
    SourceNotAllowed(String),
    /// The settings ask for more of every model.
    #[error("{fault}")]
    Required {
        /// Which rule.
        reason: ModelReason,
        /// What it asks for and what to write.
        fault: String,
    },
    /// The API server took it, but it makes no sense.
    #[error("{field} {fault}")]
    Spec {
        /// Path of the field.
        field: &'static str,
        /// What is wrong and what to write.
        fault: String,
    },
    /// Not from the API server.
    #[error("the object has no namespace, name or uid")]
    Unnamed,
}

impl Invalid {
    pub(crate) fn reason(&self) -> ModelReason {
        match self {
            Self::SourceNotAllowed(_) => ModelReason::SourceNotAllowed,
            Self::Required { reason, .. } => *reason,
            Self::Spec { .. } | Self::Unnamed => ModelReason::InvalidSpec,
        }
    }
}

/// A model that can be worked on.
#[derive(Clone, Debug)]
pub(crate) struct ValidatedModel {
    /// The LlmModel.
    pub(crate) owner: Owner,
    /// Of the spec.
    pub(crate) generation: i64,
    /// What the Job does.
    pub(crate) work: Work,
    /// `sha256:<hex>` that the files must have.
    pub(crate) expected_digest: Option<String>,
    /// Who must have signed the files, and with which key they are encrypted.
    pub(crate) protection: Protection,
    /// Classes that a volume may have; empty: any.
    pub(crate) allowed_classes: Vec<String>,
    /// Eight hex digits over what the Job does; not over how (image, credentials, endpoint by default).
    pub(crate) id: String,
}

/// What the Job does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Brings files onto a volume of ours.
    Fetch {
        /// For `--source`.
        source: FetchSource,
        /// Whom it talks to.
        hosts: Vec<SourceHost>,
        /// Its credentials.
        secret: Option<SourceSecret>,
        /// The volume.
        storage: Storage,
    },
    /// Looks at files on somebody's volume.
    Verify {
        /// The claim.
        claim_name: String,
        /// Below the root of the volume; empty: the root.
        path: String,
    },
}

/// The Secret with the credentials of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceSecret {
    pub(crate) name: String,
    /// Alternatives: one of these sets of keys must be there.
    pub(crate) keys: &'static [&'static [&'static str]],
}

/// The volume of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Storage {
    pub(crate) size: Quantity,
    pub(crate) class: Option<String>,
    pub(crate) modes: Vec<String>,
    pub(crate) retention: Retention,
}

const TOKEN: &[&[&str]] = &[&["token"]];
const TOKEN_OR_BASIC: &[&[&str]] = &[&["token"], &["username", "password"]];

/// Name of the claim that the operator makes for a model.
pub(crate) fn claim_name(model: &str) -> String {
    format!("{model}-weights")
}

/// Name of the Job for a model and what it does.
pub(crate) fn job_name(model: &str, id: &str) -> String {
    format!("{model}-fetch-{id}")
}

/// Eight hex digits over what is fetched or verified. Credentials and the default endpoint are left out: another token or
/// another mirror bring the same files.
pub(crate) fn id(spec: &LlmModelSpec) -> String {
    let mut source = serde_json::to_value(&spec.source).unwrap_or_default();
    for (kind, secret) in [("huggingFace", "tokenSecretName"), ("http", "authSecretName")] {
        if let Some(fields) = source.get_mut(kind).and_then(serde_json::Value::as_object_mut) {
            fields.remove(secret);
        }
    }
    let mut what = serde_json::json!({ "source": source, "digest": spec.digest });
    // A model without them keeps its name.
    for (name, field) in
        [("signature", serde_json::to_value(&spec.signature)), ("encryption", serde_json::to_value(&spec.encryption))]
    {
        if let (Ok(field), Some(what)) = (field, what.as_object_mut())
            && !field.is_null()
        {
            what.insert(name.to_owned(), field);
        }
    }
    let mut text = compare::hash(&what);
    text.truncate(8);
    text
}

/// Checks a model. `claim` is the volume that it has already: what cannot change on a volume stays as it is there.
pub(crate) fn validate(
    model: &LlmModel,
    claim: Option<&PersistentVolumeClaim>,
    settings: &Settings,
) -> Result<ValidatedModel, Invalid> {
    let owner = Owner::of(OwnerKind::Model, model, &settings.propagated_labels).ok_or(Invalid::Unnamed)?;
    let spec = &model.spec;
    let source = &spec.source;
    protection::require(spec, settings)?;
    let work = match (&source.hugging_face, &source.http, &source.persistent_volume_claim) {
        (Some(hub), None, None) => hugging_face(hub, settings, storage(spec, claim, settings)?)?,
        (None, Some(http), None) => http_files(http, settings, storage(spec, claim, settings)?)?,
        (None, None, Some(claim)) => {
            let path = claim.path.clone().unwrap_or_default();
            require(is_inside(&path), "spec.source.persistentVolumeClaim.path", || {
                format!("is '{path}'; it must be a relative path without '..'")
            })?;
            require(!claim.claim_name.is_empty(), "spec.source.persistentVolumeClaim.claimName", || "is empty".into())?;
            Work::Verify { claim_name: claim.claim_name.clone(), path }
        }
        _ => {
            let fault = "must name exactly one source: huggingFace, http or persistentVolumeClaim".to_owned();
            return Err(Invalid::Spec { field: "spec.source", fault });
        }
    };
    Ok(ValidatedModel {
        owner,
        generation: model.metadata.generation.unwrap_or_default(),
        work,
        expected_digest: spec.digest.clone(),
        protection: protection::read(spec)?,
        allowed_classes: settings.require.storage_class_names.clone(),
        id: id(spec),
    })
}

fn hugging_face(hub: &HuggingFaceSource, settings: &Settings, storage: Storage) -> Result<Work, Invalid> {
    let endpoint = hub.endpoint.as_ref().unwrap_or(&settings.hugging_face_endpoint);
    let host = host::vet_url(endpoint, settings).map_err(Invalid::SourceNotAllowed)?;
    Ok(Work::Fetch {
        source: FetchSource::HuggingFace {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            repo: hub.repo.clone(),
            revision: hub.revision.clone(),
            files: hub.files.clone(),
        },
        hosts: vec![host],
        secret: hub.token_secret_name.clone().map(|name| SourceSecret { name, keys: TOKEN }),
        storage,
    })
}

fn http_files(http: &HttpSource, settings: &Settings, storage: Storage) -> Result<Work, Invalid> {
    require(!http.files.is_empty(), "spec.source.http.files", || "must hold at least one file".into())?;
    let mut hosts = Vec::new();
    for file in &http.files {
        hosts.push(host::vet_url(&file.url, settings).map_err(Invalid::SourceNotAllowed)?);
    }
    hosts.sort_unstable();
    hosts.dedup();
    let file = |file: &alcazar_crds::llm_model::HttpFile| HttpFile {
        url: file.url.clone(),
        sha256: file.sha256.clone(),
        path: file.path.clone().unwrap_or_default(),
    };
    Ok(Work::Fetch {
        source: FetchSource::Http { files: http.files.iter().map(file).collect() },
        hosts,
        secret: http.auth_secret_name.clone().map(|name| SourceSecret { name, keys: TOKEN_OR_BASIC }),
        storage,
    })
}

fn storage(
    spec: &LlmModelSpec,
    claim: Option<&PersistentVolumeClaim>,
    settings: &Settings,
) -> Result<Storage, Invalid> {
    let asked = spec.storage.clone().unwrap_or_default();
    let size = asked.size.unwrap_or_else(|| settings.defaults.storage_size.clone());
    let amount = quantity::parse(&size.0).filter(|amount| *amount > quantity::ZERO);
    require(amount.is_some(), "spec.storage.size", || format!("is '{}'; it must be a quantity such as 20Gi", size.0))?;
    let modes: Vec<String> = match asked.access_modes.as_slice() {
        [] => vec![AccessMode::ReadWriteOnce.as_str().to_owned()],
        modes => modes.iter().map(|mode| mode.as_str().to_owned()).collect(),
    };
    let class = asked.storage_class_name.or_else(|| settings.defaults.storage_class_name.clone());
    let wanted = Storage { size, class, modes, retention: asked.retention };
    let storage = claim.and_then(|claim| keep(&wanted, claim)).unwrap_or(wanted);
    match class_trouble(storage.class.as_deref(), &settings.require.storage_class_names) {
        Some(fault) => Err(Invalid::Required { reason: ModelReason::StorageClassNotAllowed, fault }),
        None => Ok(storage),
    }
}

/// A volume keeps its class and modes, and never shrinks: one that was retained may be of other making.
fn keep(wanted: &Storage, claim: &PersistentVolumeClaim) -> Option<Storage> {
    let spec = claim.spec.as_ref()?;
    let has = spec.resources.as_ref()?.requests.as_ref()?.get("storage")?;
    let larger = quantity::parse(&has.0) > quantity::parse(&wanted.size.0);
    Some(Storage {
        size: if larger { has.clone() } else { wanted.size.clone() },
        class: spec.storage_class_name.clone(),
        modes: spec.access_modes.clone().unwrap_or_default(),
        retention: wanted.retention,
    })
}

fn is_inside(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|part| part != "..")
}

fn require(holds: bool, field: &'static str, fault: impl FnOnce() -> String) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid::Spec { field, fault: fault() }) }
}
