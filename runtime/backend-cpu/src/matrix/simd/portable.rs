//! Vectors as arrays, for CPUs of any kind.

use half::{bf16, f16};

use super::{LANES, Simd, power};

#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Simd for Portable {
    type Bytes = [u8; 32];
    type Ints = [i32; LANES];
    type Floats = [f32; LANES];

    #[inline(always)]
    fn bytes(self, from: &[u8; 32]) -> [u8; 32] {
        *from
    }

    #[inline(always)]
    fn and(self, mut a: [u8; 32], mask: u8) -> [u8; 32] {
        for byte in &mut a {
            *byte &= mask;
        }
        a
    }

    #[inline(always)]
    fn or(self, mut a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        for (a, b) in a.iter_mut().zip(b) {
            *a |= b;
        }
        a
    }

    #[inline(always)]
    fn left<const N: i32>(self, mut a: [u8; 32]) -> [u8; 32] {
        for byte in &mut a {
            *byte <<= N;
        }
        a
    }

    #[inline(always)]
    fn right<const N: i32>(self, mut a: [u8; 32]) -> [u8; 32] {
        for byte in &mut a {
            *byte >>= N;
        }
        a
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], mut at: [u8; 32]) -> [u8; 32] {
        for byte in &mut at {
            *byte = table[usize::from(*byte & 15)];
        }
        at
    }

    #[inline(always)]
    fn dot(self, _bits: u32, quanta: &[[u8; 32]], x: &[[i8; 4]]) -> [i32; LANES] {
        let mut sums = [0; LANES];
        for (quanta, x) in quanta.iter().zip(x) {
            for (sum, four) in sums.iter_mut().zip(quanta.as_chunks::<4>().0) {
                for (quantum, x) in four.iter().zip(x) {
                    *sum += i32::from(*quantum) * i32::from(*x);
                }
            }
        }
        sums
    }

    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "a sum of 32 products of bytes is below 2^24")]
    fn to_floats(self, a: [i32; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (out, a) in out.iter_mut().zip(a) {
            *out = a as f32;
        }
        out
    }

    #[inline(always)]
    fn floats(self, from: &[f32; LANES]) -> [f32; LANES] {
        *from
    }

    #[inline(always)]
    fn store(self, a: [f32; LANES], to: &mut [f32; LANES]) {
        *to = a;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; LANES] {
        [x; LANES]
    }

    #[inline(always)]
    fn mul(self, mut a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        for (a, b) in a.iter_mut().zip(b) {
            *a *= b;
        }
        a
    }

    #[inline(always)]
    fn mul_add(self, a: [f32; LANES], b: [f32; LANES], mut c: [f32; LANES]) -> [f32; LANES] {
        for ((c, a), b) in c.iter_mut().zip(a).zip(b) {
            // Where there is no such instruction, one rounding is a call of a function.
            *c = if cfg!(target_arch = "aarch64") { a.mul_add(b, *c) } else { a * b + *c };
        }
        c
    }

    #[inline(always)]
    fn halves(self, from: &[[u8; 2]; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (out, bytes) in out.iter_mut().zip(from) {
            *out = f16::from_le_bytes(*bytes).to_f32();
        }
        out
    }

    #[inline(always)]
    fn brains(self, from: &[[u8; 2]; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (out, bytes) in out.iter_mut().zip(from) {
            *out = bf16::from_le_bytes(*bytes).to_f32();
        }
        out
    }

    #[inline(always)]
    fn small(self, from: [u8; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (out, byte) in out.iter_mut().zip(from) {
            *out = f32::from(byte);
        }
        out
    }

    #[inline(always)]
    fn small_signed(self, from: [u8; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (out, byte) in out.iter_mut().zip(from) {
            *out = f32::from(byte.cast_signed());
        }
        out
    }

    #[inline(always)]
    fn powers(self, exponents: [u8; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (out, exponent) in out.iter_mut().zip(exponents) {
            *out = power(exponent);
        }
        out
    }
}
