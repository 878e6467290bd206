//! Numbers of a few bits, for eight rows at once, in the order that the kernels read.
//!
//! A vector holds four elements of each of the eight rows. Eight vectors make a group of 32 elements; what a group's
//! numbers have of bits lies in planes of 4, 2, 1 or 8 bits, each plane filling its bytes:
//!
//! ```text
//!  plane of 4 bits: vector p has quad p in its low halves and quad p + 4 in its high ones
//!  plane of 2 bits: vector p has quads 4p .. 4p + 3 from the lowest bits up
//!  plane of 1 bit:  its only vector has quads 0 .. 7 from the lowest bit up
//! ```
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use super::simd::{GROUP, LANES, QUADS, Simd};

/// A group's numbers of one row.
pub(super) type Row = [u8; GROUP];

/// A group's numbers: the constants are the vectors of each plane. Bits of the planes follow each other from the lowest
/// up: 4, 2, 1.
#[derive(Clone, Copy)]
pub(super) struct Quanta<const EIGHT: usize, const FOUR: usize, const TWO: usize, const ONE: usize> {
    eight: [[u8; 32]; EIGHT],
    four: [[u8; 32]; FOUR],
    two: [[u8; 32]; TWO],
    one: [[u8; 32]; ONE],
}

pub(super) type Bits2 = Quanta<0, 0, 2, 0>;
pub(super) type Bits3 = Quanta<0, 0, 2, 1>;
pub(super) type Bits4 = Quanta<0, 4, 0, 0>;
pub(super) type Bits5 = Quanta<0, 4, 0, 1>;
pub(super) type Bits6 = Quanta<0, 4, 2, 0>;
pub(super) type Bits8 = Quanta<8, 0, 0, 0>;

impl<const EIGHT: usize, const FOUR: usize, const TWO: usize, const ONE: usize> Quanta<EIGHT, FOUR, TWO, ONE> {
    pub(super) const EMPTY: Self =
        Self { eight: [[0; 32]; EIGHT], four: [[0; 32]; FOUR], two: [[0; 32]; TWO], one: [[0; 32]; ONE] };
    const TWO_AT: u32 = if FOUR > 0 { 4 } else { 0 };
    const ONE_AT: u32 = Self::TWO_AT + if TWO > 0 { 2 } else { 0 };

    pub(super) fn pack(rows: &[Row; LANES]) -> Self {
        let mut packed = Self::EMPTY;
        for (lane, row) in rows.iter().enumerate() {
            for (at, quantum) in row.iter().enumerate() {
                packed.put(at / 4, lane * 4 + at % 4, *quantum);
            }
        }
        packed
    }

    fn put(&mut self, quad: usize, byte: usize, quantum: u8) {
        if EIGHT > 0 {
            self.eight[quad][byte] = quantum;
        }
        if FOUR > 0 {
            self.four[quad % 4][byte] |= (quantum & 15) << (quad / 4 * 4);
        }
        if TWO > 0 {
            self.two[quad / 4][byte] |= ((quantum >> Self::TWO_AT) & 3) << (quad % 4 * 2);
        }
        if ONE > 0 {
            self.one[0][byte] |= ((quantum >> Self::ONE_AT) & 1) << quad;
        }
    }

    /// Element `at` of row `lane`.
    pub(super) fn get(&self, lane: usize, at: usize) -> u8 {
        let (quad, byte) = (at / 4, lane * 4 + at % 4);
        let mut quantum = 0;
        if EIGHT > 0 {
            quantum |= self.eight[quad][byte];
        }
        if FOUR > 0 {
            quantum |= (self.four[quad % 4][byte] >> (quad / 4 * 4)) & 15;
        }
        if TWO > 0 {
            quantum |= ((self.two[quad / 4][byte] >> (quad % 4 * 2)) & 3) << Self::TWO_AT;
        }
        if ONE > 0 {
            quantum |= ((self.one[0][byte] >> quad) & 1) << Self::ONE_AT;
        }
        quantum
    }

    #[inline(always)]
    pub(super) fn unpack<S: Simd>(&self, simd: S) -> [S::Bytes; QUADS] {
        let mut out = [simd.bytes(&[0; 32]); QUADS];
        if EIGHT > 0 {
            for (out, bytes) in out.iter_mut().zip(&self.eight) {
                *out = simd.bytes(bytes);
            }
        }
        if FOUR > 0 {
            for quad in 0..4 {
                let both = simd.bytes(&self.four[quad]);
                out[quad] = simd.and(both, 15);
                out[quad + 4] = simd.and(simd.right::<4>(both), 15);
            }
        }
        if TWO > 0 {
            for vector in 0..2 {
                let four = simd.bytes(&self.two[vector]);
                for (nth, two) in twos(simd, four, Self::TWO_AT).into_iter().enumerate() {
                    out[vector * 4 + nth] = if FOUR > 0 { simd.or(out[vector * 4 + nth], two) } else { two };
                }
            }
        }
        if ONE > 0 {
            let ones = ones(simd, simd.bytes(&self.one[0]), Self::ONE_AT);
            for (out, one) in out.iter_mut().zip(ones) {
                *out = simd.or(*out, one);
            }
        }
        out
    }
}

/// The four numbers of two bits in each byte, moved to bit `at`: 0 or 4.
#[inline(always)]
fn twos<S: Simd>(simd: S, four: S::Bytes, at: u32) -> [S::Bytes; 4] {
    if at == 0 {
        let [b, c, d] = [simd.right::<2>(four), simd.right::<4>(four), simd.right::<6>(four)];
        [simd.and(four, 3), simd.and(b, 3), simd.and(c, 3), simd.and(d, 3)]
    } else {
        let [a, b, d] = [simd.left::<4>(four), simd.left::<2>(four), simd.right::<2>(four)];
        [simd.and(a, 0x30), simd.and(b, 0x30), simd.and(four, 0x30), simd.and(d, 0x30)]
    }
}

/// The eight bits of each byte, moved to bit `at`: 2 or 4.
#[inline(always)]
fn ones<S: Simd>(simd: S, eight: S::Bytes, at: u32) -> [S::Bytes; QUADS] {
    let mut out = if at == 2 {
        let [a, b, d, e] =
            [simd.left::<2>(eight), simd.left::<1>(eight), simd.right::<1>(eight), simd.right::<2>(eight)];
        [a, b, eight, d, e, simd.right::<3>(eight), simd.right::<4>(eight), simd.right::<5>(eight)]
    } else {
        let [a, b, c, d] = [simd.left::<4>(eight), simd.left::<3>(eight), simd.left::<2>(eight), simd.left::<1>(eight)];
        [a, b, c, d, eight, simd.right::<1>(eight), simd.right::<2>(eight), simd.right::<3>(eight)]
    };
    for quad in &mut out {
        *quad = simd.and(*quad, 1 << at);
    }
    out
}
