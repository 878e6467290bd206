//! The controller of LlmVpnPeer: says whether a peer may connect. Client required.
//!
//! The gateway judges peers by itself, from their specs, so that a revocation waits for nobody. Status is for people.
//! There is nothing to make for a peer, so plan, build and apply have nothing to do.

mod error;
mod observe;
mod status;
#[cfg(test)]
mod tests;
mod validate;

use alcazar_crds::llm_vpn_peer::{LlmVpnPeer, LlmVpnPeerStatus};
use serde::Serialize;

pub use self::error::Error;
use self::{observe::observe, validate::validate};
use super::grant;
use crate::{
    context::Context,
    runner::{Action, Controller},
    status::{Written, write},
};

/// The controller. It remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct LlmVpnPeers;

impl Controller for LlmVpnPeers {
    type Kind = LlmVpnPeer;
    type Error = Error;
    const NAME: &'static str = "llmvpnpeer";

    /// A pass is one write itself: none before it.
    fn first_status(&self, _ctx: &Context, _peer: &LlmVpnPeer) -> Option<impl Serialize + Send + Sync> {
        None::<LlmVpnPeerStatus>
    }

    async fn reconcile(&self, ctx: &Context, peer: LlmVpnPeer) -> Result<Action, Error> {
        let now = ctx.clock.now();
        let vpn = &ctx.settings.gateway.vpn;
        let observed = observe(&ctx.stores.llm_vpn_peers, &peer, vpn);
        let new = status::compute(&peer, validate(&peer, vpn).err(), &observed, now);
        let reported = match write(ctx, &peer, peer.status.as_ref(), &new).await {
            Ok(Written::Held(wait)) => Action::requeue_after(wait),
            Ok(Written::Unchanged | Written::Patched) => Action::await_change(),
            Err(source) => return Err(Error::Report { source }),
        };
        Ok(reported.or_sooner(grant::until(peer.spec.expires_at.as_ref(), now)))
    }
}
