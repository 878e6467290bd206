//! What keys and values are stored as: f32, or f16 as bits.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use half::{f16, slice::HalfFloatSliceExt};

/// Numbers that are widened and narrowed together.
pub(crate) const LANES: usize = 8;

/// A stored number. Zero is the default, and zeroed memory.
pub(crate) trait Element: Copy + Default + Send + Sync + 'static {
    /// As f32. `FMA` as in [`crate::simd::Kernel`].
    fn widen<const FMA: bool>(stored: &[Self; LANES]) -> [f32; LANES];

    /// One number as f32.
    fn widen_one(self) -> f32;

    /// Stores numbers; both are equally long.
    fn narrow(values: &[f32], out: &mut [Self]);
}

impl Element for f32 {
    #[inline(always)]
    fn widen<const FMA: bool>(stored: &[Self; LANES]) -> [f32; LANES] {
        *stored
    }

    #[inline(always)]
    fn widen_one(self) -> f32 {
        self
    }

    fn narrow(values: &[f32], out: &mut [Self]) {
        out.copy_from_slice(values);
    }
}

/// Bits of f16: zeroed memory of integers is given out untouched, so an unused cache takes no memory.
impl Element for u16 {
    #[inline(always)]
    fn widen<const FMA: bool>(stored: &[Self; LANES]) -> [f32; LANES] {
        #[cfg(target_arch = "x86_64")]
        if FMA {
            // SAFETY: kernels run with FMA where the feature was found, as `dispatch` does.
            #[expect(unsafe_code, reason = "the only way to call code for features that are found at run time")]
            return unsafe { widen_f16c(stored) };
        }
        stored.map(widened)
    }

    #[inline(always)]
    fn widen_one(self) -> f32 {
        widened(self)
    }

    fn narrow(values: &[f32], out: &mut [Self]) {
        let mut halves = [f16::ZERO; 32];
        for (out, values) in out.chunks_mut(halves.len()).zip(values.chunks(halves.len())) {
            let Some(halves) = halves.get_mut(..values.len()) else { return };
            halves.convert_from_f32_slice(values);
            out.iter_mut().zip(halves).for_each(|(out, half)| *out = half.to_bits());
        }
    }
}

/// By shifting and scaling, which vectorises. Infinities and numbers that are none come out finite and huge.
#[inline(always)]
fn widened(bits: u16) -> f32 {
    /// 2^112: the difference of the exponents' offsets.
    const RESCALE: f32 = f32::from_bits(0x7780_0000);
    let bits = u32::from(bits);
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * RESCALE;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,f16c")]
#[inline]
fn widen_f16c(stored: &[u16; LANES]) -> [f32; LANES] {
    use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
    let mut wide = [0f32; LANES];
    // SAFETY: both arrays have the 16 and the 32 bytes that are read and written; neither instruction asks for alignment.
    #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
    unsafe {
        _mm256_storeu_ps(wide.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(stored.as_ptr().cast())));
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, dispatch};

    #[test]
    fn every_finite_half_is_widened_exactly_both_ways() {
        struct Check;
        impl Kernel for Check {
            fn run<const FMA: bool>(self) {
                let finite = (0..=u16::MAX).filter(|bits| f16::from_bits(*bits).is_finite());
                for bits in finite {
                    let expected = f16::from_bits(bits).to_f32().to_bits();
                    assert_eq!(u16::widen::<FMA>(&[bits; LANES]).map(f32::to_bits), [expected; LANES]);
                    assert_eq!(u16::widen::<false>(&[bits; LANES]).map(f32::to_bits), [expected; LANES]);
                }
            }
        }
        dispatch(Check);
    }

    #[test]
    fn what_is_stored_comes_back_as_f16() {
        let values: Vec<f32> = (0..77u8).map(|n| f32::from(n) * -0.37).collect();
        let mut stored = vec![0u16; values.len()];
        Element::narrow(&values, &mut stored);
        for (stored, value) in stored.iter().zip(&values) {
            assert_eq!(stored.widen_one().to_bits(), f16::from_f32(*value).to_f32().to_bits());
        }
    }
}
