//! The layouts that the kernels read: blocks of eight rows, a type's numbers and scales as small as in its file.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

mod plain;
mod supers;

use alcazar_core::WeightType;

pub(super) use plain::{Mxfp4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
pub(super) use supers::{Q2K, Q3K, Q4K, Q5K, Q6K};

use super::{
    quanta::{Quanta, Row},
    simd::{GROUP, LANES, QUADS, Simd},
    stored::Stored,
};

/// A quantised type's blocks of eight rows.
pub(super) trait Format: Send + Sync + 'static {
    const WEIGHT_TYPE: WeightType;
    /// The largest number has so many bits.
    const BITS: u32;
    /// Scales of a group of 32 elements: one, or one for each half.
    const N_SCALES: usize;
    type Block: Copy + Send + Sync;
    /// What a block's groups need together.
    type Shared: Copy;

    const EMPTY: Self::Block;
    const GROUPS: usize = Self::WEIGHT_TYPE.block_elements() / GROUP;

    fn pack(rows: &[Stored; LANES]) -> Self::Block;
    /// What one row's block was in the file.
    fn extract(block: &Self::Block, lane: usize) -> Stored;
    fn shared(block: &Self::Block) -> Self::Shared;
    fn group<S: Simd>(simd: S, block: &Self::Block, shared: &Self::Shared, nth: usize) -> Group<S>;
}

/// 32 elements of eight rows, ready to be multiplied: element `k` of a row is `scale · quantum + min`.
#[derive(Clone, Copy)]
pub(super) struct Group<S: Simd> {
    pub(super) quanta: [S::Bytes; QUADS],
    /// Of the two halves; where a format has one for both, it is the first.
    pub(super) scales: [S::Floats; 2],
    pub(super) mins: [S::Floats; 2],
}

impl<S: Simd> Group<S> {
    #[inline(always)]
    fn one(quanta: [S::Bytes; QUADS], scale: S::Floats, min: S::Floats) -> Self {
        Self { quanta, scales: [scale; 2], mins: [min; 2] }
    }
}

/// f16 of eight rows.
type Halves = [[u8; 2]; LANES];

/// Group `nth` of each row.
fn groups(rows: &[Stored; LANES], nth: usize) -> [Row; LANES] {
    let mut out = [[0; GROUP]; LANES];
    for (out, row) in out.iter_mut().zip(rows) {
        out.copy_from_slice(&row.quanta[nth * GROUP..(nth + 1) * GROUP]);
    }
    out
}

/// Puts a group's numbers of one row back where they were.
fn ungroup<const E: usize, const F: usize, const T: usize, const O: usize>(
    groups: &[Quanta<E, F, T, O>],
    lane: usize,
) -> Stored {
    let mut row = Stored::EMPTY;
    for (group, out) in groups.iter().zip(row.quanta.as_chunks_mut::<GROUP>().0) {
        for (at, out) in out.iter_mut().enumerate() {
            *out = group.get(lane, at);
        }
    }
    row
}

#[inline(always)]
fn halves_of(rows: &[Stored; LANES]) -> Halves {
    rows.map(|row| row.scale)
}

#[inline(always)]
fn mins_of(rows: &[Stored; LANES]) -> Halves {
    rows.map(|row| row.min)
}
