//! What the status says. Pure.

use alcazar_crds::{
    conditions::VpnPeerCondition as Type,
    grant::GrantState,
    llm_vpn_peer::{LlmVpnPeer, LlmVpnPeerStatus},
    reasons::VpnPeerReason as Reason,
};
use jiff::Timestamp;

use super::{observe::Observed, validate::Invalid};
use crate::{
    conditions::{Desired, merge},
    controller::grant,
};

/// What the gateway writes is left out, so that an apply never takes it.
pub(crate) fn compute(
    peer: &LlmVpnPeer,
    invalid: Option<Invalid>,
    observed: &Observed,
    now: Timestamp,
) -> LlmVpnPeerStatus {
    let (reason, message) = judge(peer, invalid, observed, now);
    let old = peer.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = peer.metadata.generation.unwrap_or_default();
    let desired = |type_: Type, holds: bool| Desired::new(type_.as_str(), holds, reason.as_str(), message.clone());
    let all = vec![desired(Type::Ready, reason == Reason::Active), desired(Type::Stalled, is_stalled(reason))];
    LlmVpnPeerStatus {
        observed_generation: Some(generation),
        conditions: merge(old, all, generation, now),
        ..LlmVpnPeerStatus::default()
    }
}

/// Whether nothing gets better without a change by somebody, and was not meant so.
fn is_stalled(reason: Reason) -> bool {
    match reason {
        Reason::AddressInUse
        | Reason::AddressOutside
        | Reason::KeyInUse
        | Reason::VpnDisabled
        | Reason::InvalidSpec => true,
        Reason::Active | Reason::Pending | Reason::Revoked | Reason::Expired => false,
    }
}

fn judge(peer: &LlmVpnPeer, invalid: Option<Invalid>, observed: &Observed, now: Timestamp) -> (Reason, String) {
    let spec = &peer.spec;
    if spec.state == GrantState::Revoked {
        return (Reason::Revoked, "spec.state is Revoked: the peer is dropped".to_owned());
    }
    if let Some(end) = spec.expires_at.as_ref().filter(|end| grant::has_passed(Some(end), now)) {
        return (
            Reason::Expired,
            format!("the peer expired at {}; set a later spec.expiresAt to let it in again", end.0),
        );
    }
    let free =
        observed.free_address.map_or_else(|| "the range is full".to_owned(), |address| format!("{address} is free"));
    if let Some(invalid) = invalid {
        return match invalid {
            Invalid::Disabled => (Reason::VpnDisabled, invalid.to_string()),
            Invalid::Address { .. } => (Reason::InvalidSpec, invalid.to_string()),
            Invalid::Outside { .. } => (Reason::AddressOutside, format!("{invalid}; {free}")),
            Invalid::Gateway { .. } => (Reason::AddressInUse, format!("{invalid}; {free}")),
        };
    }
    let namespace = peer.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(holder) = &observed.key_holder {
        let other = grant::name_of(holder, namespace, "LlmVpnPeer");
        return (Reason::KeyInUse, format!("{other} is older and has the same public key; make a new pair of keys"));
    }
    if let Some(holder) = &observed.address_holder {
        let other = grant::name_of(holder, namespace, "LlmVpnPeer");
        return (
            Reason::AddressInUse,
            format!("spec.address {} belongs to {other}, which is older; {free}", spec.address),
        );
    }
    (Reason::Active, format!("the peer may connect{}", grant::until_words(spec.expires_at.as_ref())))
}
