//! Eight numbers side by side, where the compiler would not make a vector of a loop by itself.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use crate::{element::widened, simd::mul_add};

/// How many.
pub(crate) const LANES: usize = 8;

/// A vector of [`LANES`] numbers.
pub(crate) trait Lanes: Copy {
    fn splat(x: f32) -> Self;
    fn load(x: &[f32; LANES]) -> Self;
    /// Of f16, given as bits.
    fn load_f16(bits: &[u16; LANES]) -> Self;
    fn store(self, out: &mut [f32; LANES]);
    /// `self · b + c`.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// Halves are added to halves, in the same order in every implementation.
    fn sum(self) -> f32;
}

/// For every CPU.
#[derive(Clone, Copy)]
pub(crate) struct Plain<const FMA: bool>([f32; LANES]);

impl<const FMA: bool> Lanes for Plain<FMA> {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        Self(*x)
    }

    #[inline(always)]
    fn load_f16(bits: &[u16; LANES]) -> Self {
        Self(bits.map(widened))
    }

    #[inline(always)]
    fn store(self, out: &mut [f32; LANES]) {
        *out = self.0;
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|lane| mul_add::<FMA>(self.0[lane], b.0[lane], c.0[lane])))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let half: [f32; 4] = std::array::from_fn(|lane| self.0[lane] + self.0[lane + 4]);
        (half[0] + half[2]) + (half[1] + half[3])
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Avx;

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "vector instructions of features that are found at run time, on pointers")]

    use std::arch::x86_64::{
        __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_si128, _mm_movehl_ps, _mm_shuffle_ps,
        _mm256_castps256_ps128, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_set1_ps, _mm256_storeu_ps,
    };

    use super::{LANES, Lanes};

    /// For CPUs with AVX2, FMA and F16C: only kernels that [`crate::simd::dispatch`] runs with FMA may name it.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx(__m256);

    impl Lanes for Avx {
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: the features were found, as above.
            Self(unsafe { _mm256_set1_ps(x) })
        }

        #[inline(always)]
        fn load(x: &[f32; LANES]) -> Self {
            // SAFETY: the features were found, as above; the array has the 32 bytes, and no alignment is asked for.
            Self(unsafe { _mm256_loadu_ps(x.as_ptr()) })
        }

        #[inline(always)]
        fn load_f16(bits: &[u16; LANES]) -> Self {
            // SAFETY: the features were found, as above; the array has the 16 bytes, and no alignment is asked for.
            Self(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(bits.as_ptr().cast())) })
        }

        #[inline(always)]
        fn store(self, out: &mut [f32; LANES]) {
            // SAFETY: the features were found, as above; the array has the 32 bytes, and no alignment is asked for.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: the features were found, as above.
            Self(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: the features were found, as above.
            unsafe {
                let half = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
                _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::simd::{Kernel, dispatch};

    fn stored(x: impl Lanes) -> [u32; LANES] {
        let mut out = [0.0; LANES];
        x.store(&mut out);
        out.map(f32::to_bits)
    }

    fn check<L: Lanes>() {
        for bits in (0..=u16::MAX).filter(|bits| f16::from_bits(*bits).is_finite()) {
            let expected = f16::from_bits(bits).to_f32().to_bits();
            assert_eq!(stored(L::load_f16(&[bits; LANES])), [expected; LANES]);
        }
        let x = [1.0f32, 2e8, -3.5, 0.1, 7.0, -2e8, 0.3, 11.0];
        let half: [f32; 4] = std::array::from_fn(|lane| x[lane] + x[lane + 4]);
        assert_eq!(L::load(&x).sum().to_bits(), ((half[0] + half[2]) + (half[1] + half[3])).to_bits());
        let sum = stored(L::load(&x).mul_add(L::splat(2.0), L::load(&[1.0; LANES])));
        assert_eq!(sum, x.map(|x| x.mul_add(2.0, 1.0).to_bits()));
    }

    #[test]
    fn every_implementation_computes_the_same() {
        struct Check;
        impl Kernel for Check {
            fn run<const FMA: bool>(self) {
                #[cfg(target_arch = "x86_64")]
                if FMA {
                    check::<Avx>();
                }
                check::<Plain<FMA>>();
                check::<Plain<true>>();
            }
        }
        dispatch(Check);
    }
}
