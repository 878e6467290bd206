//! What a decoder's parts are made of.

use super::RopeConfig;
use crate::{Activation, Gating};

/// How the parts of a layer are put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockConfig {
    /// Kind of all norms.
    pub norm: NormKind,
    /// Added to the mean square, or to the variance.
    pub norm_epsilon: f32,
    /// Added to the gains as the file has them: 1 in Gemma's checkpoints.
    pub gain_offset: f32,
    /// A norm before each part.
    pub norm_before: bool,
    /// A norm of each part's result, before it is added.
    pub norm_after: bool,
    /// The way of the residual stream.
    pub residual: Residual,
    /// Factor on each part's result, before it is added (Granite).
    pub result_scale: Option<f32>,
}

/// Kind of a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// By the root of the mean square.
    Rms,
    /// By mean and variance, with an optional bias.
    Layer,
}

/// The way of the residual stream through a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// Attention is added, then what the feed-forward part makes of the sum.
    Sequential,
    /// Both parts see the layer's input, each through its own norm.
    Parallel,
    /// Both parts see the layer's input through one norm.
    ParallelShared,
    /// As sequential, but the norm is that of the sum (OPT 350M).
    NormOfSum,
}

/// Where a token's position enters.
#[derive(Clone, Debug, PartialEq)]
pub enum Position {
    /// Queries and keys are rotated.
    Rotary {
        /// In most layers.
        global: RopeConfig,
        /// In those that say so (Gemma 3's layers with a window).
        local: Option<RopeConfig>,
    },
    /// A table of embeddings, one for each position.
    Learned {
        /// The row of position 0 (2 in OPT).
        offset: usize,
        /// Rows of the table.
        entries: usize,
    },
    /// Scores fall with the distance, by the slopes of [`alibi_slopes`].
    Alibi {
        /// Factor on the slopes (Falcon scales them as it does the scores).
        scale: f32,
    },
}

/// What is common to all attention layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionConfig {
    /// Factor on the scores.
    pub scale: f32,
    /// See [`crate::AttentionSpec::soft_cap`].
    pub soft_cap: Option<f32>,
    /// Norms of queries and keys.
    pub qk_norm: QkNorm,
    /// See [`crate::AttentionSpec::sinks`].
    pub has_sinks: bool,
    /// Layer `n` scales by another `1 / (n + 1)` (a rare option of GPT-2).
    pub scale_by_layer: bool,
}

/// Norms of queries and keys, before the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkNorm {
    /// None.
    None,
    /// Of each head.
    Heads,
    /// Of all heads together.
    Whole,
}

/// What the feed-forward part computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FeedForward {
    /// `down(activation(up(x)))`.
    Plain(Activation),
    /// `down(gate(gate(x), up(x)))`.
    Gated(Gating),
    /// Some gated experts for each token.
    Experts {
        /// What each expert computes.
        gating: Gating,
        /// Experts of a layer.
        n_experts: usize,
        /// Experts that a token goes through.
        n_used: usize,
        /// How a token's experts share.
        routing: Routing,
    },
}

/// How a token's experts share its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// By the softmax over all experts.
    SoftmaxOfAll,
    /// By the softmax over those that are used.
    SoftmaxOfUsed,
}

/// What distinguishes a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerConfig {
    /// See [`crate::AttentionSpec::window`].
    pub window: Option<usize>,
    /// Which rotation its queries and keys get.
    pub rotation: Rotation,
    /// Width of its one gated part, where other layers have experts.
    pub dense: Option<usize>,
}

/// Which rotation a layer's queries and keys get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// That of most layers.
    Global,
    /// That of layers with a window.
    Local,
    /// None, also where others are rotated (SmolLM3).
    None,
}

/// What comes before the first layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InputConfig {
    /// Factor on the embeddings.
    pub scale: Option<f32>,
    /// A norm of the embeddings (BLOOM).
    pub has_norm: bool,
    /// Width of the embeddings, where it is not that of the residual stream (OPT 350M).
    pub width: Option<usize>,
}

/// What comes after the last layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputConfig {
    /// A norm.
    pub has_norm: bool,
    /// The embedding's table is used whatever else the files hold. Otherwise it is used where they hold no other.
    pub is_tied: bool,
    /// Scores `s` become `cap · tanh(s / cap)` (Gemma 2).
    pub soft_cap: Option<f32>,
    /// Factor on the scores (Granite).
    pub scale: Option<f32>,
}

/// Slopes for ALiBi: powers of `2^(-8/n)`, for head counts `n` that are no power of two those of the next lower one and,
/// between them, every other one of the next higher (Press et al. 2022, and their code).
pub fn alibi_slopes(n_heads: usize) -> Vec<f32> {
    let lower = if n_heads.is_power_of_two() { n_heads } else { n_heads.next_power_of_two() / 2 };
    #[expect(clippy::cast_precision_loss, reason = "a layer has far fewer than 2^23 heads")]
    let power = |nth: usize, n: usize| (-8.0 * nth as f32 / n as f32).exp2();
    let first = (1..=lower).map(|nth| power(nth, lower));
    first.chain((0..n_heads.saturating_sub(lower)).map(|nth| power(2 * nth + 1, 2 * lower))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_paper() {
        assert_eq!(alibi_slopes(8), [0.5, 0.25, 0.125, 0.0625, 0.031_25, 0.015_625, 0.007_812_5, 0.003_906_25]);
        let six = alibi_slopes(6);
        assert_eq!(six[..4], [0.25, 0.0625, 0.015_625, 0.003_906_25]);
        assert_eq!(six[4..], [0.5, 0.125]);
    }
}
