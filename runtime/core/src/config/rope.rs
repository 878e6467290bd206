//! Rotary frequencies, and how they are stretched for longer contexts.

use std::f32::consts::{PI, TAU};

use crate::RopeStyle;

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
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// They were not.
    None,
    /// All by one factor.
    Linear {
        /// Stretch.
        factor: f32,
    },
    /// The base grows with the context that is served, once that is longer than the original one.
    Dynamic {
        /// Stretch for each original context.
        factor: f32,
        /// Context before the stretch, in tokens.
        original_context: f32,
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
    /// YaRN: as Llama 3, but smooth over the pairs' numbers, and the angles' sines and cosines grow.
    Yarn {
        /// Stretch of the long waves.
        factor: f32,
        /// Waves that turn more often than this in the original context keep their frequency.
        beta_fast: f32,
        /// Waves that turn less often are stretched whole.
        beta_slow: f32,
        /// The pairs between are counted in whole numbers.
        truncate: bool,
        /// Factor on sines and cosines.
        magnitude: f32,
        /// Context before the stretch, in tokens.
        original_context: f32,
    },
    /// Phi-3: a factor for each pair, by whether more than the original context is served.
    LongRope {
        /// Stretch of each pair up to the original context; empty: the files hold it as a tensor.
        short: Vec<f32>,
        /// Stretch of each pair beyond.
        long: Vec<f32>,
        /// Factor on sines and cosines.
        magnitude: f32,
        /// Context before the stretch, in tokens.
        original_context: f32,
    },
}

/// What a step's angles are computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeTable {
    /// Radians per position, one for each rotated pair.
    pub frequencies: Vec<f32>,
    /// Factor on sines and cosines.
    pub magnitude: f32,
}

/// YaRN's factor on sines and cosines: `0.1 · weight · ln(factor) + 1`.
pub fn yarn_magnitude(factor: f32, weight: f32) -> f32 {
    if factor <= 1.0 { 1.0 } else { (0.1 * weight).mul_add(factor.ln(), 1.0) }
}

impl RopeConfig {
    /// For sequences up to `context` tokens. What depends on the length follows the context that is served and not the
    /// sequence, so that keys in the cache fit whatever comes after them.
    #[expect(clippy::cast_precision_loss, reason = "a context has fewer than 2^24 positions")]
    pub fn table(&self, context: usize) -> RopeTable {
        let context = context as f32;
        let plain = self.frequencies(self.theta);
        match &self.scaling {
            RopeScaling::None => RopeTable { frequencies: plain, magnitude: 1.0 },
            RopeScaling::Linear { factor } => scaled(plain, |_, frequency| frequency / factor),
            RopeScaling::Dynamic { factor, original_context } => {
                let (dims, length) = (self.dims as f32, context.max(*original_context));
                let stretch = factor * length / original_context - (factor - 1.0);
                let frequencies = self.frequencies(self.theta * stretch.powf(dims / (dims - 2.0)));
                RopeTable { frequencies, magnitude: 1.0 }
            }
            RopeScaling::Llama3 { factor, low, high, original_context } => scaled(plain, |_, frequency| {
                let rotations = original_context * frequency / TAU;
                let smooth = ((rotations - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }),
            RopeScaling::Yarn { factor, magnitude, .. } => {
                let [low, high] = self.yarn_range();
                let table = scaled(plain, |pair, frequency| {
                    let stretched = ((pair as f32 - low) / (high - low)).clamp(0.0, 1.0);
                    frequency / factor * stretched + frequency * (1.0 - stretched)
                });
                RopeTable { magnitude: *magnitude, ..table }
            }
            RopeScaling::LongRope { short, long, magnitude, original_context } => {
                let factors = if context > *original_context { long } else { short };
                let table = scaled(plain, |pair, frequency| frequency / factors.get(pair).copied().unwrap_or(1.0));
                RopeTable { magnitude: *magnitude, ..table }
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a head has far fewer than 2^23 elements")]
    fn frequencies(&self, theta: f32) -> Vec<f32> {
        (0..self.dims / 2).map(|pair| theta.powf(-((2 * pair) as f32) / self.dims as f32)).collect()
    }

    /// Pairs between which YaRN goes over from the old frequencies to the stretched ones.
    #[expect(clippy::cast_precision_loss, reason = "a head has far fewer than 2^23 elements")]
    fn yarn_range(&self) -> [f32; 2] {
        let RopeScaling::Yarn { beta_fast, beta_slow, truncate, original_context, .. } = &self.scaling else {
            return [0.0, 1.0];
        };
        let dims = self.dims as f32;
        let pair_of =
            |rotations: f32| dims * (original_context / (rotations * 2.0 * PI)).ln() / (2.0 * self.theta.ln());
        let (mut low, mut high) = (pair_of(*beta_fast), pair_of(*beta_slow));
        if *truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, high) = (low.max(0.0), high.min(dims - 1.0));
        [low, if high > low { high } else { low + 0.001 }]
    }
}

fn scaled(frequencies: Vec<f32>, f: impl Fn(usize, f32) -> f32) -> RopeTable {
    let frequencies = frequencies.into_iter().enumerate().map(|(pair, frequency)| f(pair, frequency)).collect();
    RopeTable { frequencies, magnitude: 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(scaling: RopeScaling, context: usize) -> RopeTable {
        RopeConfig { theta: 10_000.0, dims: 64, style: RopeStyle::Halves, scaling }.table(context)
    }

    fn frequencies(scaling: RopeScaling) -> Vec<f32> {
        table(scaling, 100).frequencies
    }

    #[test]
    fn llama3_scaling_keeps_short_waves_and_stretches_long_ones() {
        let plain = frequencies(RopeScaling::None);
        let scaled = frequencies(RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original_context: 8192.0 });
        assert!((scaled[0] - plain[0]).abs() < 1e-9);
        assert!((scaled[31] - plain[31] / 8.0).abs() < 1e-9);
        assert!(scaled.iter().zip(&plain).all(|(s, p)| s <= p && *s >= p / 8.0));
    }

    #[test]
    fn linear_scaling_divides_all() {
        let (plain, scaled) = (frequencies(RopeScaling::None), frequencies(RopeScaling::Linear { factor: 4.0 }));
        assert!(scaled.iter().zip(&plain).all(|(s, p)| (s * 4.0 - p).abs() < 1e-9));
    }

    #[test]
    fn what_depends_on_the_length_follows_the_served_context() {
        let dynamic = RopeScaling::Dynamic { factor: 4.0, original_context: 100.0 };
        assert_eq!(table(dynamic.clone(), 100), table(RopeScaling::None, 100));
        let twice = table(dynamic, 200).frequencies;
        // The base is multiplied by (4·2 − 3)^(64/62).
        assert!((twice[1] - (10_000.0f32 * 5f32.powf(64.0 / 62.0)).powf(-2.0 / 64.0)).abs() < 1e-6);
        let long = RopeScaling::LongRope {
            short: vec![1.0; 32],
            long: vec![2.0; 32],
            magnitude: 1.5,
            original_context: 100.0,
        };
        assert_eq!(table(long.clone(), 100), RopeTable { magnitude: 1.5, ..table(RopeScaling::None, 100) });
        assert!((table(long, 101).frequencies[0] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn yarn_keeps_short_waves_and_stretches_long_ones() {
        let magnitude = yarn_magnitude(32.0, 1.0);
        assert!((magnitude - 1.346_573_6).abs() < 1e-6);
        let yarn = RopeScaling::Yarn {
            factor: 32.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            truncate: true,
            magnitude,
            original_context: 4096.0,
        };
        let (plain, scaled) = (frequencies(RopeScaling::None), frequencies(yarn));
        assert!((scaled[0] - plain[0]).abs() < 1e-9);
        assert!((scaled[31] - plain[31] / 32.0).abs() < 1e-9);
    }
}
