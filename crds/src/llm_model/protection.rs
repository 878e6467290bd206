//! `spec.signature` and `spec.encryption`: who vouches for the files, and who can read them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{self, Rule, rules};

/// Who must have signed the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[Rule {
    rule: "has(self.publicKeySecretName) != has(self.certificateConfigMapName)",
    message: "must set exactly one of publicKeySecretName (a Secret with public.pem) and certificateConfigMapName \
              (a ConfigMap with ca.pem)",
}])))]
pub struct Signature {
    /// Name of a Secret of this namespace whose entry `public.pem` is the signer's public key.
    /// Example: `model-signing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub public_key_secret_name: Option<String>,
    /// Name of a ConfigMap of this namespace whose entry `ca.pem` holds the roots that the signer's certificate must
    /// lead to; its optional entry `identity` is the subject alternative name that the certificate must have.
    /// Example: `model-signing-roots`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub certificate_config_map_name: Option<String>,
}

/// With which key the files are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Name of a Secret of this namespace whose entry `key` is an age identity (`AGE-SECRET-KEY-1…`); its optional
    /// entry `previous` holds older ones, one a line, while keys are being rotated. Example: `weights-key`.
    #[schemars(schema_with = "schema::object_name")]
    pub key_secret_name: String,
}
