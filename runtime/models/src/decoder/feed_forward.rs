//! The feed-forward part.

use alcazar_core::{Activation, Backend, BackendError, DecoderConfig, Gating, config::FeedForward as Kind};

use super::{Place, experts::Experts};
use crate::{
    LoadError,
    adapter::{Adapted, Deltas, Part},
    names::Inner,
    weights::Linear,
};

pub(super) enum FeedForward<B: Backend> {
    Plain { up: Linear<B>, activation: Activation, down: Linear<B> },
    Gated(Gated<B>),
    Experts(Experts<B>),
}

/// `down(gate(gate(x), up(x)))`: a whole part, or one expert.
pub(super) struct Gated<B: Backend> {
    pub(super) gate: Linear<B>,
    pub(super) up: Linear<B>,
    pub(super) down: Linear<B>,
    pub(super) gating: Gating,
}

impl<B: Backend> FeedForward<B> {
    pub(super) fn load(place: &Place<'_, B>, config: &DecoderConfig) -> Result<Self, LoadError> {
        let (loader, inner) = (place.loader, config.feed_forward);
        let gating = match config.feed_forward_kind {
            Kind::Experts { .. } => return Experts::load(place, config).map(Self::Experts),
            Kind::Plain(activation) => {
                let (Inner::Separate([_, up]) | Inner::Stacked(up)) = place.names.feed_forward;
                let up = loader.put(&place.linear(up, [inner, config.hidden])?)?;
                let down = loader.put(&place.linear(place.names.down, [config.hidden, inner])?)?;
                return Ok(Self::Plain { up, activation, down });
            }
            Kind::Gated(gating) => gating,
        };
        let [gate, up] = match place.names.feed_forward {
            Inner::Separate([gate, up]) => {
                [gate, up].map(|name| loader.put(&place.linear(name, [inner, config.hidden])?))
            }
            Inner::Stacked(name) => {
                let fused = place.linear(name, [2 * inner, config.hidden])?;
                [0..inner, inner..2 * inner].map(|rows| loader.put(&fused.rows(rows)?))
            }
        };
        let down = loader.put(&place.linear(place.names.down, [config.hidden, inner])?)?;
        Ok(Self::Gated(Gated { gate: gate?, up: up?, down, gating }))
    }

    /// # Shapes
    /// - x and output: `[rows, hidden]`
    pub(super) fn apply(
        &self,
        backend: &B,
        x: &B::Tensor,
        adapted: &Adapted<'_, B>,
    ) -> Result<B::Tensor, BackendError> {
        match self {
            Self::Plain { up, activation, down } => {
                down.adapt(backend, &backend.activate(up.adapt(backend, x, adapted)?, *activation)?, adapted)
            }
            Self::Gated(gated) => gated.apply(backend, x, adapted),
            Self::Experts(experts) => experts.apply(backend, x),
        }
    }

    /// What adapters add to a part; `None`: it is none of these. Experts take none.
    pub(super) fn deltas(&mut self, part: Part) -> Option<&mut Deltas<B>> {
        let linear = match (self, part) {
            (Self::Gated(gated), Part::Gate) => &mut gated.gate,
            (Self::Gated(Gated { up, .. }) | Self::Plain { up, .. }, Part::Up) => up,
            (Self::Gated(Gated { down, .. }) | Self::Plain { down, .. }, Part::Down) => down,
            _ => return None,
        };
        Some(&mut linear.deltas)
    }
}

impl<B: Backend> Gated<B> {
    pub(super) fn apply(
        &self,
        backend: &B,
        x: &B::Tensor,
        adapted: &Adapted<'_, B>,
    ) -> Result<B::Tensor, BackendError> {
        let [gate, up] = Linear::apply_each([&self.gate, &self.up], backend, x)?;
        let gate = self.gate.adapted(backend, x, gate, adapted)?;
        let up = self.up.adapted(backend, x, up, adapted)?;
        self.down.adapt(backend, &backend.gate(gate, &up, self.gating)?, adapted)
    }
}
