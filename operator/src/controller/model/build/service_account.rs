//! The identity of the fetch pod: no token, no rights. Pure.

use alcazar_contract::labels;
use k8s_openapi::api::core::v1::ServiceAccount;

use crate::children::Owner;

pub(super) fn build_service_account(owner: &Owner) -> ServiceAccount {
    ServiceAccount {
        metadata: owner.metadata(&super::fetch_name(&owner.name), labels::COMPONENT_FETCH),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
