//! `LlmModel`: the weights of a model on storage.

mod protection;
mod source;
mod status;
mod storage;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    protection::{Encryption, Signature},
    source::{ClaimSource, HttpFile, HttpSource, HuggingFaceSource, ModelSource},
    status::{EncryptionSeen, FetchProgress, LlmModelStatus, SignatureSeen},
    storage::{AccessMode, DEFAULT_SIZE, ModelStorage, Retention},
};
use crate::schema::{self, Rule, rules};

/// Where the weights of a model come from, how they are proven, and where they are kept.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "alcazar.dev",
    version = "v1alpha1",
    kind = "LlmModel",
    plural = "llmmodels",
    singular = "llmmodel",
    shortname = "llmm",
    category = "alcazar",
    namespaced,
    status = "LlmModelStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "The weights of a language model on storage: fetched once, verified, sealed read-only. Several LlmDeployments may share one.",
    selectable = ".spec.digest",
    selectable = ".spec.source.huggingFace.repo",
    validation = (schema::NAME_RULE, schema::NAME_MESSAGE),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"True once the weights are sealed and verified."}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why it is ready or not; the sentence is in the condition's message."}"#,
    printcolumn = r#"{"name":"Progress","type":"integer","jsonPath":".status.progress.percent","description":"Percent fetched, while fetching."}"#,
    printcolumn = r#"{"name":"Size","type":"integer","jsonPath":".status.sizeBytes","description":"Bytes of all files."}"#,
    printcolumn = r#"{"name":"Architecture","type":"string","jsonPath":".status.architecture","description":"As the model file names it."}"#,
    printcolumn = r#"{"name":"Claim","type":"string","priority":1,"jsonPath":".status.claimName","description":"The PersistentVolumeClaim that holds the weights."}"#,
    printcolumn = r#"{"name":"Digest","type":"string","priority":1,"jsonPath":".status.digest","description":"Manifest digest of the sealed files."}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&SPEC_RULES)))]
pub struct LlmModelSpec {
    /// Where the files come from. Exactly one of `huggingFace`, `http` and `persistentVolumeClaim`.
    /// A change fetches the new files beside the old ones; what already serves goes on until they are sealed.
    pub source: ModelSource,
    /// The manifest digest that the files must have, as `sha256:` and 64 lower-case hex digits. Files with another
    /// digest are never sealed. `status.digest` of a trusted fetch is the value to write here.
    /// Default: whatever the source delivers is sealed and its digest is reported.
    /// Example: `sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// Who must have signed the files (OpenSSF Model Signing, `model.sig` beside them). Files without that signature
    /// are never sealed. Default: no signature is asked for, unless the operator's settings require one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// With which key the files are kept encrypted on the volume. Default: they are kept as they come, unless the
    /// operator's settings require encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The volume that the operator makes for the files. Must be left out for `source.persistentVolumeClaim`.
    /// Default: a claim of 20Gi, ReadWriteOnce, of the cluster's default storage class, deleted with the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<ModelStorage>,
}

/// Rules over the whole spec. They hold for an inline model as well, since it is the same type.
const SPEC_RULES: [Rule; 4] = [
    Rule {
        rule: "!(has(self.source.persistentVolumeClaim) && has(self.storage))",
        message: "must not set storage with source.persistentVolumeClaim: the files stay on that claim; remove storage",
    },
    Rule {
        rule: "has(oldSelf.source.persistentVolumeClaim) || has(self.source.persistentVolumeClaim) || \
               (has(self.storage) && has(self.storage.storageClassName) ? self.storage.storageClassName : '') == \
               (has(oldSelf.storage) && has(oldSelf.storage.storageClassName) ? oldSelf.storage.storageClassName : '')",
        message: "must not change storage.storageClassName: a volume cannot change its class; make a new model with another name",
    },
    Rule {
        rule: "has(oldSelf.source.persistentVolumeClaim) || has(self.source.persistentVolumeClaim) || \
               sets.equivalent(\
               has(self.storage) && has(self.storage.accessModes) ? self.storage.accessModes : ['ReadWriteOnce'], \
               has(oldSelf.storage) && has(oldSelf.storage.accessModes) ? oldSelf.storage.accessModes : ['ReadWriteOnce'])",
        message: "must not change storage.accessModes: a volume cannot change them; make a new model with another name",
    },
    Rule {
        rule: "has(oldSelf.source.persistentVolumeClaim) || has(self.source.persistentVolumeClaim) || \
               quantity(has(self.storage) && has(self.storage.size) ? self.storage.size : '20Gi').compareTo(\
               quantity(has(oldSelf.storage) && has(oldSelf.storage.size) ? oldSelf.storage.size : '20Gi')) >= 0",
        message: "must not make storage.size smaller: a volume can only grow (default: 20Gi); write the old size or more",
    },
];
