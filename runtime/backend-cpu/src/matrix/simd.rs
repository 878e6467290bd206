//! The vector instructions that the kernels are written in, and the choice among them at run time.
//!
//! A kernel is written once, over [`Simd`], and compiled for every set of instructions; which one runs is chosen when it
//! is called. What is generic over `Simd` is marked `#[inline(always)]`, so that it is compiled for the features of the
//! function that it ends up in, and has no closures, which would not be.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(test)]
mod tests;

use portable::Portable;

/// Elements of a group: what has one scale of activations, and the vectors of four elements that these make.
pub(super) const GROUP: usize = 32;
pub(super) const QUADS: usize = GROUP / 4;
/// Lanes of 32 bits.
pub(super) const LANES: usize = 8;

/// Vectors of 32 bytes. The lanes of 32 bits are rows of weights; the four bytes of a lane are elements of that row.
pub(super) trait Simd: Copy {
    /// 32 numbers of 8 bits without sign.
    type Bytes: Copy;
    /// 8 integers of 32 bits.
    type Ints: Copy;
    /// 8 numbers.
    type Floats: Copy;

    fn bytes(self, from: &[u8; 32]) -> Self::Bytes;
    /// Bits `FROM..` of each byte, as many as `mask` has, where they are.
    fn and(self, a: Self::Bytes, mask: u8) -> Self::Bytes;
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Each pair of bytes moved by `N` bits to the left; what crosses from one byte to the other is for a mask to remove.
    fn left<const N: i32>(self, a: Self::Bytes) -> Self::Bytes;
    /// The same to the right.
    fn right<const N: i32>(self, a: Self::Bytes) -> Self::Bytes;
    /// What the table has at each byte, each below 16.
    fn lookup(self, table: &[u8; 16], at: Self::Bytes) -> Self::Bytes;
    /// For each lane the sum of the products of its bytes with four of `x`, over as many vectors as there are quads.
    ///
    /// No byte of `quanta` has more than `bits` bits, and no number of `x` is -128: no sum is cut off.
    fn dot(self, bits: u32, quanta: &[Self::Bytes], x: &[[i8; 4]]) -> Self::Ints;
    fn to_floats(self, a: Self::Ints) -> Self::Floats;

    fn floats(self, from: &[f32; LANES]) -> Self::Floats;
    fn store(self, a: Self::Floats, to: &mut [f32; LANES]);
    fn splat(self, x: f32) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a · b + c`, in one rounding where the CPU can.
    fn mul_add(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// Widens f16.
    fn halves(self, from: &[[u8; 2]; LANES]) -> Self::Floats;
    /// Widens bf16.
    fn brains(self, from: &[[u8; 2]; LANES]) -> Self::Floats;
    /// Whole numbers without sign.
    fn small(self, from: [u8; LANES]) -> Self::Floats;
    /// Whole numbers with sign.
    fn small_signed(self, from: [u8; LANES]) -> Self::Floats;
    /// `2^(e − 128)`.
    fn powers(self, exponents: [u8; LANES]) -> Self::Floats;
}

/// A computation; `run` and all that it calls are marked `#[inline(always)]`.
pub(super) trait Kernel {
    fn run<S: Simd>(self, simd: S);
}

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
}

impl Isa {
    /// The best that this CPU has.
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = avx2::Avx2::find() {
            return Self::Avx2(avx2);
        }
        Self::Portable
    }

    pub(super) fn run(self, kernel: impl Kernel) {
        match self {
            Self::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.run(kernel),
        }
    }
}

/// `2^(e − 128)`, the factor of a block of MXFP4 whose numbers are doubled.
#[inline(always)]
pub(super) const fn power(exponent: u8) -> f32 {
    let exponent = exponent as u32;
    // The two smallest are below the smallest normal number.
    f32::from_bits(if exponent < 2 { 0x0020_0000 << exponent } else { (exponent - 1) << 23 })
}
