//! What a quantised matrix is multiplied with: numbers of 8 bits in groups of 32 with a scale.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use super::simd::{GROUP, Isa, Kernel, QUADS, Simd};
use crate::pool::Pool;

/// Numbers that are worth a turn of a thread.
const PIECE: usize = 1 << 14;
/// Groups whose largest number is smaller are taken for zero: their factor would overflow.
const SMALLEST: f32 = 1e-30;

/// 32 numbers: `scale · quanta`, off by at most 1/254 of the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantised {
    pub(super) quanta: [[i8; 4]; QUADS],
    pub(super) scale: f32,
    /// Of the quanta of the first half, the second, and both.
    pub(super) sums: [f32; 3],
}

const ZERO: Quantised = Quantised { quanta: [[0; 4]; QUADS], scale: 0.0, sums: [0.0; 3] };

/// Rows of groups.
pub(super) struct Activations {
    groups: Vec<Quantised>,
    n_groups: usize,
}

impl Activations {
    /// Of rows of `n_in` numbers, a multiple of 32. A group with infinities, or with what is no number, is none either.
    pub(super) fn new(isa: Isa, x: &[f32], n_in: usize, pool: &Pool) -> Self {
        let mut groups = vec![ZERO; x.len() / GROUP];
        let (chunks, _) = x.as_chunks::<GROUP>();
        let piece = (PIECE / GROUP).min(groups.len()).max(1);
        let n_whole = groups.len() / piece * piece;
        let (whole, rest) = groups.split_at_mut(n_whole);
        pool.for_each_chunk(whole, piece, |nth, groups| {
            isa.run(Quantise { x: &chunks[nth * piece..], groups });
        });
        isa.run(Quantise { x: &chunks[n_whole..], groups: rest });
        Self { groups, n_groups: n_in / GROUP }
    }

    #[inline(always)]
    pub(super) fn row(&self, nth: usize) -> &[Quantised] {
        &self.groups[nth * self.n_groups..(nth + 1) * self.n_groups]
    }
}

struct Quantise<'a> {
    x: &'a [[f32; GROUP]],
    groups: &'a mut [Quantised],
}

impl Kernel for Quantise<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        for (group, x) in self.groups.iter_mut().zip(self.x) {
            *group = quantise(x);
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "sums of 32 numbers below 128")]
fn quantise(x: &[f32; GROUP]) -> Quantised {
    /// Adding it leaves the nearest integer, ties to even, in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    // As integers, infinities are above all numbers, and what is no number is above these.
    let mut largest = 0;
    for x in x {
        largest = largest.max(x.to_bits() & 0x7fff_ffff);
    }
    let largest = f32::from_bits(largest);
    if !largest.is_finite() {
        return Quantised { scale: f32::NAN, ..ZERO };
    }
    if largest < SMALLEST {
        return ZERO;
    }
    let factor = 127.0 / largest;
    let mut quanta = [0i8; GROUP];
    for (quantum, x) in quanta.iter_mut().zip(x) {
        *quantum = (x * factor + SHIFT).to_bits().to_le_bytes()[0].cast_signed();
    }
    let (halves, _) = quanta.as_chunks::<{ GROUP / 2 }>();
    let mut sums = [0; 2];
    for (sum, half) in sums.iter_mut().zip(halves) {
        for quantum in half {
            *sum += i32::from(*quantum);
        }
    }
    let [first, second] = sums;
    let mut quads = [[0; 4]; QUADS];
    quads.as_flattened_mut().copy_from_slice(&quanta);
    Quantised { quanta: quads, scale: largest / 127.0, sums: [first as f32, second as f32, (first + second) as f32] }
}
