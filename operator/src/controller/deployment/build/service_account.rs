//! The pods' identity: an account that gets no token and no right. Pure.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{ValidatedDeployment, metadata};

pub(super) fn build_service_account(valid: &ValidatedDeployment) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(valid, &valid.owner.name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
