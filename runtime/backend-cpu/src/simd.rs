//! Runs a kernel compiled for the best features of this CPU.
//!
//! Kernels are written once, in loops over lanes that the compiler turns into vector instructions; what they are
//! compiled for is chosen here, at run time.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

/// A computation; `run` and all that it calls are marked `#[inline(always)]`, so that they are compiled for the features
/// of the function that they end up in.
pub(crate) trait Kernel {
    /// `FMA`: multiplication and addition are one instruction, and x86 converts f16; only [`dispatch`] may say so there.
    fn run<const FMA: bool>(self);
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn dispatch(kernel: impl Kernel) {
    use std::arch::is_x86_feature_detected;
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
        // SAFETY: the features that the function asks for were just found.
        #[expect(unsafe_code, reason = "the only way to call code for features that are found at run time")]
        unsafe {
            avx2(kernel);
        }
    } else {
        kernel.run::<false>();
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn avx2(kernel: impl Kernel) {
    kernel.run::<true>();
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn dispatch(kernel: impl Kernel) {
    // Every 64-bit ARM has fused multiplication and vectors of four.
    kernel.run::<{ cfg!(target_arch = "aarch64") }>();
}

const LANES: usize = 16;

#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Sum of products; the order of the additions depends on the length alone.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] = mul_add::<FMA>(a[lane], b[lane], sums[lane]);
        }
    }
    let mut sum = sum_of(sums);
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum = mul_add::<FMA>(*a, *b, sum);
    }
    sum
}

#[inline(always)]
fn sum_of(mut sums: [f32; LANES]) -> f32 {
    let mut n = LANES / 2;
    while n > 0 {
        for lane in 0..n {
            sums[lane] += sums[lane + n];
        }
        n /= 2;
    }
    sums[0]
}

/// Sum of numbers; the order of the additions depends on the length alone.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
    sum_of(sums) + rest.iter().sum::<f32>()
}

/// eˣ to about one unit in the last place; 0 below -87, and no infinity: the argument is cut at 88.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    /// Adding it leaves the nearest integer in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    let x = x.min(88.0);
    let shifted = mul_add::<FMA>(x, std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let rest = mul_add::<FMA>(n, -0.693_359_4, x);
    let rest = mul_add::<FMA>(n, 2.121_944_4e-4, rest);
    let mut sum = mul_add::<FMA>(rest, 1.987_569_1e-4, 1.398_199_9e-3);
    for factor in [8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        sum = mul_add::<FMA>(sum, rest, factor);
    }
    let fraction = mul_add::<FMA>(sum, rest * rest, rest) + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_shl(23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { fraction * power }
}

/// Hyperbolic tangent, to about 2e-7.
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (exp::<FMA>(2.0 * x) + 1.0)
}

/// The error function, to about 4e-7: Abramowitz and Stegun, formula 7.1.26.
#[inline(always)]
pub(crate) fn erf<const FMA: bool>(x: f32) -> f32 {
    let magnitude = x.abs();
    let t = 1.0 / mul_add::<FMA>(0.327_591_1, magnitude, 1.0);
    let mut sum = 1.061_405_4f32;
    for factor in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = mul_add::<FMA>(sum, t, factor);
    }
    (1.0 - sum * t * exp::<FMA>(-magnitude * magnitude)).copysign(x)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exp_is_exp(x in -100f32..90.0) {
            for found in [exp::<true>(x), exp::<false>(x)] {
                let expected = if x < -87.0 { 0.0 } else { f64::from(x.min(88.0)).exp() };
                prop_assert!((f64::from(found) - expected).abs() <= expected * 3e-7, "{x}: {found} {expected}");
            }
        }

        #[test]
        fn tanh_is_tanh_and_erf_is_erf(x in -30f32..30.0) {
            for found in [tanh::<true>(x), tanh::<false>(x)] {
                prop_assert!((f64::from(found) - f64::from(x).tanh()).abs() < 3e-7, "{x}: {found}");
            }
            for found in [erf::<true>(x), erf::<false>(x)] {
                let expected = candle_core::cpu::erf::erf_f64(f64::from(x));
                prop_assert!((f64::from(found) - expected).abs() < 5e-7, "{x}: {found} {expected}");
            }
        }

        #[test]
        fn dot_is_the_sum_of_products(pairs in prop::collection::vec((-2f32..2.0, -2f32..2.0), 0..100)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let expected: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            prop_assert!((f64::from(dot::<true>(&a, &b)) - expected).abs() < 1e-4);
            prop_assert!((f64::from(dot::<false>(&a, &b)) - expected).abs() < 1e-4);
        }
    }
}
