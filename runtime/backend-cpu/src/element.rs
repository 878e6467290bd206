//! What keys and values are stored as: f32, or f16 as bits.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use half::{f16, slice::HalfFloatSliceExt};

use crate::lanes::{LANES, Lanes};

/// A stored number. Zero is the default, and zeroed memory.
pub(crate) trait Element: Copy + Default + Send + Sync + 'static {
    fn widen<L: Lanes>(stored: &[Self; LANES]) -> L;

    /// One number as f32.
    fn widen_one(self) -> f32;

    /// Stores numbers; both are equally long.
    fn narrow(values: &[f32], out: &mut [Self]);
}

impl Element for f32 {
    #[inline(always)]
    fn widen<L: Lanes>(stored: &[Self; LANES]) -> L {
        L::load(stored)
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
    fn widen<L: Lanes>(stored: &[Self; LANES]) -> L {
        L::load_f16(stored)
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
pub(crate) fn widened(bits: u16) -> f32 {
    /// 2^112: the difference of the exponents' offsets.
    const RESCALE: f32 = f32::from_bits(0x7780_0000);
    let bits = u32::from(bits);
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * RESCALE;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

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
