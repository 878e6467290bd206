//! A mixture of experts: a router chooses a few for each token, and each expert works on its tokens together.

use alcazar_core::{
    Backend, BackendError, DecoderConfig, Gating, RawTensor,
    config::{FeedForward as Kind, Routing},
};

use super::{Place, feed_forward::Gated};
use crate::{
    LoadError,
    adapter::Adapted,
    mxfp4,
    names::Experts as Names,
    weights::{Linear, RawLinear},
};

pub(super) struct Experts<B: Backend> {
    router: Linear<B>,
    all: Vec<Gated<B>>,
    n_used: usize,
    routing: Routing,
    hidden: usize,
}

/// Rows of the batch and their weights, for one expert.
#[derive(Clone, Debug, Default, PartialEq)]
struct Share {
    rows: Vec<usize>,
    weights: Vec<f32>,
}

impl<B: Backend> Experts<B> {
    pub(super) fn load(place: &Place<'_, B>, config: &DecoderConfig) -> Result<Self, LoadError> {
        let Kind::Experts { gating, n_experts, n_used, routing } = config.feed_forward_kind else {
            return Err(LoadError::Unfit { message: "found no number of experts, expected one".to_owned() });
        };
        let (Names::Each { router, .. } | Names::Stacked { router, .. } | Names::Paired { router, .. }) =
            place.names.experts;
        let router = place.loader.linear(&place.name(router), [n_experts, config.hidden])?;
        let all = match place.names.experts {
            Names::Each { parts, .. } => {
                (0..n_experts).map(|nth| each(place, config, parts, nth, gating)).collect::<Result<_, _>>()?
            }
            Names::Stacked { parts, .. } => stacked(place, config, parts, n_experts, gating)?,
            Names::Paired { gate_up, down, .. } => paired(place, config, [gate_up, down], n_experts, gating)?,
        };
        Ok(Self { router, all, n_used, routing, hidden: config.hidden })
    }

    /// # Shapes
    /// - x and output: `[rows, hidden]`
    pub(super) fn apply(&self, backend: &B, x: &B::Tensor) -> Result<B::Tensor, BackendError> {
        let scores = backend.to_host(&self.router.apply(backend, x)?)?;
        let n_experts = self.all.len();
        let mut sum = backend.zeros(scores.len() / n_experts.max(1), self.hidden)?;
        // In the experts' order, so that a row's sum does not depend on the rows beside it.
        for (expert, share) in self.all.iter().zip(shares(&scores, n_experts, self.n_used, self.routing)) {
            if !share.rows.is_empty() {
                let y = expert.apply(backend, &backend.rows(x, &share.rows)?, &Adapted::none())?;
                sum = backend.add_rows(sum, &share.rows, &share.weights, &y)?;
            }
        }
        Ok(sum)
    }
}

/// What each expert gets to do; `scores` are `[rows, experts]`.
fn shares(scores: &[f32], n_experts: usize, n_used: usize, routing: Routing) -> Vec<Share> {
    let mut shares = vec![Share::default(); n_experts];
    for (row, scores) in scores.chunks_exact(n_experts.max(1)).enumerate() {
        let mut order: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let best = order.first().map_or(0.0, |(_, score)| *score);
        let share = |score: f32| (score - best).exp();
        let counted = match routing {
            Routing::SoftmaxOfAll => n_experts,
            Routing::SoftmaxOfUsed => n_used,
        };
        let sum: f32 = order.iter().take(counted).map(|(_, score)| share(*score)).sum();
        for (expert, score) in order.into_iter().take(n_used) {
            if let Some(of_expert) = shares.get_mut(expert) {
                of_expert.rows.push(row);
                of_expert.weights.push(share(score) / sum);
            }
        }
    }
    shares
}

fn each<B: Backend>(
    place: &Place<'_, B>,
    config: &DecoderConfig,
    parts: [&str; 3],
    nth: usize,
    gating: Gating,
) -> Result<Gated<B>, LoadError> {
    let [gate, up, down] = parts.map(|part| place.name(&part.replace("{}", &nth.to_string())));
    let inner = [config.feed_forward, config.hidden];
    let loader = place.loader;
    let down = loader.linear(&down, [config.hidden, config.feed_forward])?;
    Ok(Gated { gate: loader.linear(&gate, inner)?, up: loader.linear(&up, inner)?, down, gating })
}

fn stacked<B: Backend>(
    place: &Place<'_, B>,
    config: &DecoderConfig,
    parts: [&str; 3],
    n_experts: usize,
    gating: Gating,
) -> Result<Vec<Gated<B>>, LoadError> {
    let (loader, inner, hidden) = (place.loader, config.feed_forward, config.hidden);
    // One kind after the other: no more than one stack is in memory twice.
    let all = |part: &str, n_out: usize, n_in: usize| -> Result<Vec<Linear<B>>, LoadError> {
        let name = place.name(part);
        let weights = loader.raw(&format!("{name}.weight"), &[n_experts, n_out, n_in])?;
        let biases = loader.raw_if_there(&format!("{name}.bias"), &[n_experts, n_out])?;
        let one = |nth| -> Result<_, LoadError> {
            let bias = biases.as_ref().map(|biases| biases.entry(nth)).transpose()?;
            loader.put(&RawLinear { weight: weights.entry(nth)?, bias })
        };
        (0..n_experts).map(one).collect()
    };
    let [gate, up, down] = parts;
    let (gates, ups, downs) = (all(gate, inner, hidden)?, all(up, inner, hidden)?, all(down, hidden, inner)?);
    let experts = gates.into_iter().zip(ups).zip(downs);
    Ok(experts.map(|((gate, up), down)| Gated { gate, up, down, gating }).collect())
}

/// Gate and up in turns in one tensor.
fn paired<B: Backend>(
    place: &Place<'_, B>,
    config: &DecoderConfig,
    [gate_up, down]: [&str; 2],
    n_experts: usize,
    gating: Gating,
) -> Result<Vec<Gated<B>>, LoadError> {
    let (loader, inner, hidden) = (place.loader, config.feed_forward, config.hidden);
    let gate_ups = Stack::read(place, gate_up, [n_experts, 2 * inner, hidden])?;
    let downs = Stack::read(place, down, [n_experts, hidden, inner])?;
    let one = |nth| -> Result<_, LoadError> {
        let gate_up = gate_ups.entry(nth)?;
        let gate = loader.put(&gate_up.rows((0..inner).map(|row| 2 * row))?)?;
        let up = loader.put(&gate_up.rows((0..inner).map(|row| 2 * row + 1))?)?;
        Ok(Gated { gate, up, down: loader.put(&downs.entry(nth)?)?, gating })
    };
    (0..n_experts).map(one).collect()
}

/// A matrix for each expert, as gpt-oss's own files have it.
struct Stack<'a> {
    weights: Stored<'a>,
    biases: RawTensor<'a>,
}

enum Stored<'a> {
    /// `[experts, in, out]`.
    Transposed(RawTensor<'a>),
    /// Blocks `[experts, out, in / 32, 16]` and their exponents.
    Mxfp4 { blocks: RawTensor<'a>, scales: RawTensor<'a> },
}

impl<'a> Stack<'a> {
    fn read<B: Backend>(
        place: &Place<'a, B>,
        part: &str,
        [n_experts, n_out, n_in]: [usize; 3],
    ) -> Result<Self, LoadError> {
        let (loader, name) = (place.loader, place.name(part));
        let biases = loader.raw(&format!("{name}_bias"), &[n_experts, n_out])?;
        let blocks = format!("{name}_blocks");
        let weights = if loader.has(&blocks) {
            Stored::Mxfp4 {
                blocks: loader.raw(&blocks, &[n_experts, n_out, n_in / mxfp4::NUMBERS, mxfp4::BYTES])?,
                scales: loader.raw(&format!("{name}_scales"), &[n_experts, n_out, n_in / mxfp4::NUMBERS])?,
            }
        } else {
            Stored::Transposed(loader.raw(&name, &[n_experts, n_in, n_out])?)
        };
        Ok(Self { weights, biases })
    }

    fn entry(&self, nth: usize) -> Result<RawLinear<'_>, LoadError> {
        let weight = match &self.weights {
            Stored::Transposed(weights) => weights.entry(nth)?.transposed()?,
            Stored::Mxfp4 { blocks, scales } => mxfp4::joined(&blocks.entry(nth)?, &scales.entry(nth)?),
        };
        Ok(RawLinear { weight, bias: Some(self.biases.entry(nth)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_experts_share_each_row() {
        let scores = [0.0, 2.0, 1.0, 3.0, 0.0, 3.0];
        let of_used = shares(&scores, 3, 2, Routing::SoftmaxOfUsed);
        assert_eq!(of_used.iter().map(|share| share.rows.clone()).collect::<Vec<_>>(), [vec![1], vec![0], vec![0, 1]]);
        let high = 1.0 / (1.0 + (-1f32).exp());
        assert!((of_used[1].weights[0] - high).abs() < 1e-6);
        assert!((of_used[2].weights[0] - (1.0 - high)).abs() < 1e-6);
        assert_eq!((of_used[0].weights[0], of_used[2].weights[1]), (0.5, 0.5));
        let of_all = shares(&scores, 3, 2, Routing::SoftmaxOfAll);
        assert!((of_all[1].weights[0] - 1.0 / (1.0 + (-1f32).exp() + (-2f32).exp())).abs() < 1e-6);
    }
}
