//! Types with one scale for each 32 elements.

use alcazar_core::WeightType;

use super::{Format, Group, Halves, groups, halves_of, mins_of, ungroup};
use crate::matrix::{
    quanta::{Bits4, Bits5, Bits8},
    simd::{LANES, Simd},
    stored::{MXFP4_NUMBERS, Stored},
};

/// `scale · (quantum − offset)`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::matrix) struct Symmetric<Q> {
    scales: Halves,
    quanta: Q,
}

/// `scale · quantum + min`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::matrix) struct Affine<Q> {
    scales: Halves,
    mins: Halves,
    quanta: Q,
}

macro_rules! symmetric {
    ($name:ident, $quanta:ident, $bits:literal, $offset:literal) => {
        pub(in crate::matrix) struct $name;

        impl Format for $name {
            const WEIGHT_TYPE: WeightType = WeightType::$name;
            const BITS: u32 = $bits;
            const N_SCALES: usize = 1;
            type Block = Symmetric<$quanta>;
            type Shared = ();
            const EMPTY: Self::Block = Symmetric { scales: [[0; 2]; LANES], quanta: $quanta::EMPTY };

            fn pack(rows: &[Stored; LANES]) -> Self::Block {
                Symmetric { scales: halves_of(rows), quanta: $quanta::pack(&groups(rows, 0)) }
            }

            fn extract(block: &Self::Block, lane: usize) -> Stored {
                Stored { scale: block.scales[lane], ..ungroup(&[block.quanta], lane) }
            }

            #[inline(always)]
            fn shared(_block: &Self::Block) {}

            #[inline(always)]
            fn group<S: Simd>(simd: S, block: &Self::Block, _shared: &(), _nth: usize) -> Group<S> {
                let scale = simd.halves(&block.scales);
                Group::one(block.quanta.unpack(simd), scale, simd.mul(scale, simd.splat(-$offset)))
            }
        }
    };
}

macro_rules! affine {
    ($name:ident, $quanta:ident, $bits:literal) => {
        pub(in crate::matrix) struct $name;

        impl Format for $name {
            const WEIGHT_TYPE: WeightType = WeightType::$name;
            const BITS: u32 = $bits;
            const N_SCALES: usize = 1;
            type Block = Affine<$quanta>;
            type Shared = ();
            const EMPTY: Self::Block =
                Affine { scales: [[0; 2]; LANES], mins: [[0; 2]; LANES], quanta: $quanta::EMPTY };

            fn pack(rows: &[Stored; LANES]) -> Self::Block {
                let quanta = $quanta::pack(&groups(rows, 0));
                Affine { scales: halves_of(rows), mins: mins_of(rows), quanta }
            }

            fn extract(block: &Self::Block, lane: usize) -> Stored {
                Stored { scale: block.scales[lane], min: block.mins[lane], ..ungroup(&[block.quanta], lane) }
            }

            #[inline(always)]
            fn shared(_block: &Self::Block) {}

            #[inline(always)]
            fn group<S: Simd>(simd: S, block: &Self::Block, _shared: &(), _nth: usize) -> Group<S> {
                Group::one(block.quanta.unpack(simd), simd.halves(&block.scales), simd.halves(&block.mins))
            }
        }
    };
}

symmetric!(Q4_0, Bits4, 4, 8.0);
symmetric!(Q5_0, Bits5, 5, 16.0);
symmetric!(Q8_0, Bits8, 8, 128.0);
affine!(Q4_1, Bits4, 4);
affine!(Q5_1, Bits5, 5);

/// The numbers of four bits stand for others; the scale is a power of two.
pub(in crate::matrix) struct Mxfp4;

#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::matrix) struct Mxfp4Block {
    exponents: [u8; LANES],
    quanta: Bits4,
}

impl Format for Mxfp4 {
    const WEIGHT_TYPE: WeightType = WeightType::MXFP4;
    // The numbers that they stand for go up to 24.
    const BITS: u32 = 5;
    const N_SCALES: usize = 1;
    type Block = Mxfp4Block;
    type Shared = ();
    const EMPTY: Mxfp4Block = Mxfp4Block { exponents: [0; LANES], quanta: Bits4::EMPTY };

    fn pack(rows: &[Stored; LANES]) -> Mxfp4Block {
        Mxfp4Block { exponents: rows.map(|row| row.scale[0]), quanta: Bits4::pack(&groups(rows, 0)) }
    }

    fn extract(block: &Mxfp4Block, lane: usize) -> Stored {
        Stored { scale: [block.exponents[lane], 0], ..ungroup(&[block.quanta], lane) }
    }

    #[inline(always)]
    fn shared(_block: &Mxfp4Block) {}

    #[inline(always)]
    fn group<S: Simd>(simd: S, block: &Mxfp4Block, _shared: &(), _nth: usize) -> Group<S> {
        let mut quanta = block.quanta.unpack(simd);
        for quad in &mut quanta {
            *quad = simd.lookup(&MXFP4_NUMBERS, *quad);
        }
        let scale = simd.powers(block.exponents);
        Group::one(quanta, scale, simd.mul(scale, simd.splat(-12.0)))
    }
}
