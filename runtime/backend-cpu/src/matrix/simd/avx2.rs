//! AVX2 with FMA and F16C: x86-64 since 2013 (Intel) and 2015 (AMD).

use std::arch::{
    is_x86_feature_detected,
    x86_64::{
        __m256, __m256i, _mm_loadu_si64, _mm_loadu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256,
        _mm256_blendv_epi8, _mm256_broadcastsi128_si256, _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_cvtepi8_epi32,
        _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_or_si256,
        _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256,
        _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_slli_epi32, _mm256_sllv_epi32, _mm256_srli_epi16,
        _mm256_storeu_ps, _mm256_sub_epi32,
    },
};

use super::{Kernel, LANES, Simd};

/// Proof that the features were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::matrix) struct Avx2(());

/// Calls intrinsics from a method of [`Avx2`].
macro_rules! avx2 {
    ($call:expr) => {{
        // SAFETY: an `Avx2` exists only where the features were found, and the pointers come from references to arrays of
        // the width that is read or written; alignment is not asked for.
        #[expect(unsafe_code, reason = "the only way to call instructions that are found at run time")]
        unsafe {
            $call
        }
    }};
}

impl Avx2 {
    pub(super) fn find() -> Option<Self> {
        let found =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        found.then_some(Self(()))
    }

    pub(super) fn run(self, kernel: impl Kernel) {
        avx2!(compiled(self, kernel));
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn compiled(simd: Avx2, kernel: impl Kernel) {
    kernel.run(simd);
}

impl Simd for Avx2 {
    type Bytes = __m256i;
    type Ints = __m256i;
    type Floats = __m256;

    #[inline(always)]
    fn bytes(self, from: &[u8; 32]) -> __m256i {
        avx2!(_mm256_loadu_si256(from.as_ptr().cast()))
    }

    #[inline(always)]
    fn and(self, a: __m256i, mask: u8) -> __m256i {
        avx2!(_mm256_and_si256(a, _mm256_set1_epi8(mask.cast_signed())))
    }

    #[inline(always)]
    fn or(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_or_si256(a, b))
    }

    #[inline(always)]
    fn left<const N: i32>(self, a: __m256i) -> __m256i {
        avx2!(_mm256_slli_epi16::<N>(a))
    }

    #[inline(always)]
    fn right<const N: i32>(self, a: __m256i) -> __m256i {
        avx2!(_mm256_srli_epi16::<N>(a))
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], at: __m256i) -> __m256i {
        avx2!(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())), at))
    }

    #[inline(always)]
    fn dot(self, bits: u32, quanta: &[__m256i], x: &[[i8; 4]]) -> __m256i {
        match bits {
            ..=4 => self.dot_sums::<8>(quanta, x),
            5 => self.dot_sums::<4>(quanta, x),
            6 => self.dot_sums::<2>(quanta, x),
            _ => self.dot_wide(quanta, x),
        }
    }

    #[inline(always)]
    fn to_floats(self, a: __m256i) -> __m256 {
        avx2!(_mm256_cvtepi32_ps(a))
    }

    #[inline(always)]
    fn floats(self, from: &[f32; LANES]) -> __m256 {
        avx2!(_mm256_loadu_ps(from.as_ptr()))
    }

    #[inline(always)]
    fn store(self, a: __m256, to: &mut [f32; LANES]) {
        avx2!(_mm256_storeu_ps(to.as_mut_ptr(), a));
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        avx2!(_mm256_set1_ps(x))
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_mul_ps(a, b))
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        avx2!(_mm256_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn halves(self, from: &[[u8; 2]; LANES]) -> __m256 {
        avx2!(_mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast())))
    }

    #[inline(always)]
    fn brains(self, from: &[[u8; 2]; LANES]) -> __m256 {
        avx2!(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(
            from.as_ptr().cast()
        )))))
    }

    #[inline(always)]
    fn small(self, from: [u8; LANES]) -> __m256 {
        avx2!(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadu_si64(from.as_ptr()))))
    }

    #[inline(always)]
    fn small_signed(self, from: [u8; LANES]) -> __m256 {
        avx2!(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadu_si64(from.as_ptr()))))
    }

    #[inline(always)]
    fn powers(self, exponents: [u8; LANES]) -> __m256 {
        avx2!({
            let exponents = _mm256_cvtepu8_epi32(_mm_loadu_si64(exponents.as_ptr()));
            let normal = _mm256_slli_epi32::<23>(_mm256_sub_epi32(exponents, _mm256_set1_epi32(1)));
            let small = _mm256_sllv_epi32(_mm256_set1_epi32(0x0020_0000), exponents);
            let is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), exponents);
            _mm256_castsi256_ps(_mm256_blendv_epi8(normal, small, is_small))
        })
    }
}

impl Avx2 {
    /// Products of two neighbours are added in 16 bits, and those of `SUMMED` vectors together, before they are widened:
    /// 2 · `SUMMED` · 127 times the largest byte is below 2^15.
    #[inline(always)]
    fn dot_sums<const SUMMED: usize>(self, quanta: &[__m256i], x: &[[i8; 4]]) -> __m256i {
        let mut sum = avx2!(_mm256_setzero_si256());
        for (quanta, x) in quanta.chunks(SUMMED).zip(x.chunks(SUMMED)) {
            let mut pairs = avx2!(_mm256_setzero_si256());
            for (quantum, x) in quanta.iter().zip(x) {
                let x = quad(self, *x);
                pairs = avx2!(_mm256_add_epi16(pairs, _mm256_maddubs_epi16(*quantum, x)));
            }
            sum = avx2!(_mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
        }
        sum
    }

    /// Bytes in two halves, each of which can be summed in 16 bits.
    #[inline(always)]
    fn dot_wide(self, quanta: &[__m256i], x: &[[i8; 4]]) -> __m256i {
        let mut sum = avx2!(_mm256_setzero_si256());
        for (quanta, x) in quanta.chunks(8).zip(x.chunks(8)) {
            let (mut low, mut high) = avx2!((_mm256_setzero_si256(), _mm256_setzero_si256()));
            for (quantum, x) in quanta.iter().zip(x) {
                let x = quad(self, *x);
                low = avx2!(_mm256_add_epi16(low, _mm256_maddubs_epi16(self.and(*quantum, 15), x)));
                let upper = self.and(self.right::<4>(*quantum), 15);
                high = avx2!(_mm256_add_epi16(high, _mm256_maddubs_epi16(upper, x)));
            }
            let low = avx2!(_mm256_madd_epi16(low, _mm256_set1_epi16(1)));
            let high = avx2!(_mm256_madd_epi16(high, _mm256_set1_epi16(16)));
            sum = avx2!(_mm256_add_epi32(sum, _mm256_add_epi32(low, high)));
        }
        sum
    }
}

/// The same four bytes in every lane.
#[inline(always)]
fn quad(_found: Avx2, x: [i8; 4]) -> __m256i {
    let mut bytes = [0; 4];
    for (byte, x) in bytes.iter_mut().zip(x) {
        *byte = x.cast_unsigned();
    }
    avx2!(_mm256_set1_epi32(i32::from_ne_bytes(bytes)))
}
