//! A decoder's dimensions, whichever file they came from.

use crate::RopeStyle;

/// Families of decoders that `models` implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 1 to 3, Mistral, Qwen2, SmolLM: RMS norm, rotary embedding, SiLU gate.
    Llama,
}

/// Whose tensor names the files use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightNames {
    /// `blk.0.attn_q.weight`.
    Gguf,
    /// `model.layers.0.self_attn.q_proj.weight`.
    HuggingFace,
}

/// Dimensions of a decoder. Readers of `formats` check the bounds, so that products of these do not overflow.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Which code runs it.
    pub family: Family,
    /// As the file names it, for example `llama`.
    pub architecture: String,
    /// Whose tensor names the files use.
    pub names: WeightNames,
    /// Layers.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub feed_forward: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads.
    pub n_kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Longest context the model was made for, in tokens.
    pub context_length: usize,
    /// Added to the mean square in norms.
    pub norm_epsilon: f32,
    /// Rotary embedding.
    pub rope: RopeConfig,
}

/// Rotary embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub theta: f32,
    /// Elements of a head that are rotated.
    pub dims: usize,
    /// How they are paired.
    pub style: RopeStyle,
    /// How the frequencies were stretched.
    pub scaling: RopeScaling,
}

/// How rotary frequencies were stretched for a longer context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// They were not.
    None,
    /// All by one factor.
    Linear {
        /// Stretch.
        factor: f32,
    },
    /// Llama 3.1 and later: long waves by the factor, short ones not, those between smoothly.
    Llama3 {
        /// Stretch of the long waves.
        factor: f32,
        /// Below `original_context / low` rotations a wave is long.
        low: f32,
        /// Above `original_context / high` it is short.
        high: f32,
        /// Context before the stretch, in tokens.
        original_context: f32,
    },
}

impl RopeConfig {
    /// Radians per position, one for each rotated pair.
    pub fn frequencies(&self) -> Vec<f32> {
        #[expect(clippy::cast_precision_loss, reason = "a head has far fewer than 2^23 elements")]
        let exponent = |pair: usize| -((2 * pair) as f32) / self.dims as f32;
        (0..self.dims / 2).map(|pair| self.scaled(self.theta.powf(exponent(pair)))).collect()
    }

    fn scaled(&self, frequency: f32) -> f32 {
        match self.scaling {
            RopeScaling::None => frequency,
            RopeScaling::Linear { factor } => frequency / factor,
            RopeScaling::Llama3 { factor, low, high, original_context } => {
                let rotations = original_context * frequency / std::f32::consts::TAU;
                let smooth = ((rotations - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}

impl DecoderConfig {
    /// Width of all query heads.
    pub const fn q_width(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Width of all key (or value) heads.
    pub const fn kv_width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling) -> Vec<f32> {
        RopeConfig { theta: 10_000.0, dims: 64, style: RopeStyle::Halves, scaling }.frequencies()
    }

    #[test]
    fn llama3_scaling_keeps_short_waves_and_stretches_long_ones() {
        let plain = rope(RopeScaling::None);
        let scaled = rope(RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original_context: 8192.0 });
        assert!((scaled[0] - plain[0]).abs() < 1e-9);
        assert!((scaled[31] - plain[31] / 8.0).abs() < 1e-9);
        assert!(scaled.iter().zip(&plain).all(|(s, p)| s <= p && *s >= p / 8.0));
    }

    #[test]
    fn linear_scaling_divides_all() {
        let (plain, scaled) = (rope(RopeScaling::None), rope(RopeScaling::Linear { factor: 4.0 }));
        assert!(scaled.iter().zip(&plain).all(|(s, p)| (s * 4.0 - p).abs() < 1e-9));
    }
}
