//! The files of the model port. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{Issued, ValidatedDeployment, metadata, tls_secret_name};
use crate::authority::{CA_CRT, FINGERPRINT, NOT_AFTER, TLS_CRT, TLS_KEY};

pub(super) fn build_tls_secret(valid: &ValidatedDeployment, issued: &Issued) -> Secret {
    let mut meta = metadata(valid, &tls_secret_name(&valid.owner.name));
    // For people and their alerts; whether the leaf is due is judged by the certificate itself.
    meta.annotations = Some(BTreeMap::from([
        (NOT_AFTER.to_owned(), issued.leaf.not_after.to_string()),
        (FINGERPRINT.to_owned(), issued.leaf.fingerprint.clone()),
    ]));
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    Secret {
        metadata: meta,
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(BTreeMap::from([
            (TLS_CRT.to_owned(), bytes(&issued.leaf.certificate_pem)),
            (TLS_KEY.to_owned(), bytes(issued.leaf.key_pem.expose())),
            (CA_CRT.to_owned(), bytes(&issued.ca_pem)),
        ])),
        ..Secret::default()
    }
}
