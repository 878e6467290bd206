//! Types with blocks of 256 elements, whose small scales have a factor in common.

use alcazar_core::WeightType;

use super::{Format, Group, Halves, groups, halves_of, mins_of, ungroup};
use crate::matrix::{
    quanta::{Bits2, Bits3, Bits4, Bits5, Bits6, Quanta},
    simd::{LANES, Simd},
    stored::Stored,
};

/// Groups of a block.
const N: usize = 8;

/// Eight vectors of 16 numbers of 6 bits: the fourth of four has two bits in each of the others.
type Packed6 = [[u8; 16]; 6];
type Unpacked6 = [[u8; 16]; 8];

fn pack6(vectors: &Unpacked6) -> Packed6 {
    let mut out = [[0; 16]; 6];
    for (nth, out) in out.iter_mut().enumerate() {
        let (four, part) = (nth / 3, nth % 3);
        for (at, out) in out.iter_mut().enumerate() {
            *out = vectors[four * 4 + part][at] & 63 | vectors[four * 4 + 3][at] >> (2 * part) << 6;
        }
    }
    out
}

#[inline(always)]
fn unpack6(packed: &Packed6) -> Unpacked6 {
    let mut out = [[0; 16]; 8];
    for four in 0..2 {
        for at in 0..16 {
            let [a, b, c] = [packed[four * 3][at], packed[four * 3 + 1][at], packed[four * 3 + 2][at]];
            out[four * 4][at] = a & 63;
            out[four * 4 + 1][at] = b & 63;
            out[four * 4 + 2][at] = c & 63;
            out[four * 4 + 3][at] = a >> 6 | b >> 6 << 2 | c >> 6 << 4;
        }
    }
    out
}

/// The first eight and the last eight.
#[inline(always)]
fn split(vector: &[u8; 16]) -> ([u8; LANES], [u8; LANES]) {
    let (chunks, _) = vector.as_chunks::<LANES>();
    (chunks[0], chunks[1])
}

fn all_groups<const E: usize, const F: usize, const T: usize, const O: usize>(
    rows: &[Stored; LANES],
) -> [Quanta<E, F, T, O>; N] {
    let mut out = [Quanta::EMPTY; N];
    for (nth, out) in out.iter_mut().enumerate() {
        *out = Quanta::pack(&groups(rows, nth));
    }
    out
}

/// `scale · small scale · quantum − min · small min`, the small ones of 32 elements and 6 bits: a vector has the scales of
/// a group's rows, then the minima.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::matrix) struct Affine<Q> {
    scales: Halves,
    mins: Halves,
    small: Packed6,
    quanta: [Q; N],
}

macro_rules! affine {
    ($name:ident, $weight_type:ident, $quanta:ident, $bits:literal) => {
        pub(in crate::matrix) struct $name;

        impl Format for $name {
            const WEIGHT_TYPE: WeightType = WeightType::$weight_type;
            const BITS: u32 = $bits;
            const N_SCALES: usize = 1;
            type Block = Affine<$quanta>;
            type Shared = Unpacked6;
            const EMPTY: Self::Block = Affine {
                scales: [[0; 2]; LANES],
                mins: [[0; 2]; LANES],
                small: [[0; 16]; 6],
                quanta: [$quanta::EMPTY; N],
            };

            fn pack(rows: &[Stored; LANES]) -> Self::Block {
                let mut small = [[0; 16]; 8];
                for (nth, small) in small.iter_mut().enumerate() {
                    for (lane, row) in rows.iter().enumerate() {
                        (small[lane], small[LANES + lane]) = (row.small_scales[nth], row.small_mins[nth]);
                    }
                }
                let quanta = all_groups(rows);
                Affine { scales: halves_of(rows), mins: mins_of(rows), small: pack6(&small), quanta }
            }

            fn extract(block: &Self::Block, lane: usize) -> Stored {
                let mut row = ungroup(&block.quanta, lane);
                (row.scale, row.min) = (block.scales[lane], block.mins[lane]);
                for (nth, small) in unpack6(&block.small).iter().enumerate() {
                    (row.small_scales[nth], row.small_mins[nth]) = (small[lane], small[LANES + lane]);
                }
                row
            }

            #[inline(always)]
            fn shared(block: &Self::Block) -> Unpacked6 {
                unpack6(&block.small)
            }

            #[inline(always)]
            fn group<S: Simd>(simd: S, block: &Self::Block, small: &Unpacked6, nth: usize) -> Group<S> {
                let (scales, mins) = split(&small[nth]);
                let scale = simd.mul(simd.halves(&block.scales), simd.small(scales));
                let min = simd.mul(simd.halves(&block.mins), simd.small(mins));
                Group::one(block.quanta[nth].unpack(simd), scale, simd.mul(min, simd.splat(-1.0)))
            }
        }
    };
}

affine!(Q4K, Q4_K, Bits4, 4);
affine!(Q5K, Q5_K, Bits5, 5);

/// `scale · small scale · (quantum − offset)`, the small ones of 16 elements: a vector has those of the first halves of a
/// group's rows, then those of the second.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::matrix) struct Halved<Q, P> {
    scales: Halves,
    small: P,
    quanta: [Q; N],
}

/// Small scales of one row, in the order of its elements.
fn put_small(small: &mut [[u8; 16]; N], lane: usize, row: &[u8; 16]) {
    for (nth, vector) in small.iter_mut().enumerate() {
        (vector[lane], vector[LANES + lane]) = (row[2 * nth], row[2 * nth + 1]);
    }
}

fn get_small(small: &[[u8; 16]; N], lane: usize) -> [u8; 16] {
    std::array::from_fn(|nth| small[nth / 2][nth % 2 * LANES + lane])
}

fn all_small(rows: &[Stored; LANES], of: impl Fn(&Stored) -> [u8; 16]) -> [[u8; 16]; N] {
    let mut small = [[0; 16]; N];
    for (lane, row) in rows.iter().enumerate() {
        put_small(&mut small, lane, &of(row));
    }
    small
}

#[inline(always)]
fn halved<S: Simd>(simd: S, quanta: [S::Bytes; 8], scale: S::Floats, small: [S::Floats; 2], offset: f32) -> Group<S> {
    let scales = [simd.mul(scale, small[0]), simd.mul(scale, small[1])];
    let offset = simd.splat(-offset);
    Group { quanta, scales, mins: [simd.mul(scales[0], offset), simd.mul(scales[1], offset)] }
}

/// Small scales of 8 bits with sign.
pub(in crate::matrix) struct Q6K;

impl Format for Q6K {
    const WEIGHT_TYPE: WeightType = WeightType::Q6_K;
    const BITS: u32 = 6;
    const N_SCALES: usize = 2;
    type Block = Halved<Bits6, [[u8; 16]; N]>;
    type Shared = ();
    const EMPTY: Self::Block = Halved { scales: [[0; 2]; LANES], small: [[0; 16]; N], quanta: [Bits6::EMPTY; N] };

    fn pack(rows: &[Stored; LANES]) -> Self::Block {
        Halved { scales: halves_of(rows), small: all_small(rows, |row| row.small_scales), quanta: all_groups(rows) }
    }

    fn extract(block: &Self::Block, lane: usize) -> Stored {
        let small_scales = get_small(&block.small, lane);
        Stored { scale: block.scales[lane], small_scales, ..ungroup(&block.quanta, lane) }
    }

    #[inline(always)]
    fn shared(_block: &Self::Block) {}

    #[inline(always)]
    fn group<S: Simd>(simd: S, block: &Self::Block, _shared: &(), nth: usize) -> Group<S> {
        let (first, second) = split(&block.small[nth]);
        let small = [simd.small_signed(first), simd.small_signed(second)];
        halved(simd, block.quanta[nth].unpack(simd), simd.halves(&block.scales), small, 32.0)
    }
}

/// Small scales of 6 bits, plus 32.
pub(in crate::matrix) struct Q3K;

impl Format for Q3K {
    const WEIGHT_TYPE: WeightType = WeightType::Q3_K;
    const BITS: u32 = 3;
    const N_SCALES: usize = 2;
    type Block = Halved<Bits3, Packed6>;
    type Shared = Unpacked6;
    const EMPTY: Self::Block = Halved { scales: [[0; 2]; LANES], small: [[0; 16]; 6], quanta: [Bits3::EMPTY; N] };

    fn pack(rows: &[Stored; LANES]) -> Self::Block {
        let small = pack6(&all_small(rows, |row| row.small_scales));
        Halved { scales: halves_of(rows), small, quanta: all_groups(rows) }
    }

    fn extract(block: &Self::Block, lane: usize) -> Stored {
        let small_scales = get_small(&unpack6(&block.small), lane);
        Stored { scale: block.scales[lane], small_scales, ..ungroup(&block.quanta, lane) }
    }

    #[inline(always)]
    fn shared(block: &Self::Block) -> Unpacked6 {
        let mut small = unpack6(&block.small);
        for byte in small.as_flattened_mut() {
            *byte = byte.wrapping_sub(32);
        }
        small
    }

    #[inline(always)]
    fn group<S: Simd>(simd: S, block: &Self::Block, small: &Unpacked6, nth: usize) -> Group<S> {
        let (first, second) = split(&small[nth]);
        let small = [simd.small_signed(first), simd.small_signed(second)];
        halved(simd, block.quanta[nth].unpack(simd), simd.halves(&block.scales), small, 4.0)
    }
}

/// Small scales and minima of 4 bits, of 16 elements: a byte has a scale below and a minimum above.
pub(in crate::matrix) struct Q2K;

#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::matrix) struct Q2KBlock {
    mins: Halves,
    rest: Halved<Bits2, [[u8; 16]; N]>,
}

impl Format for Q2K {
    const WEIGHT_TYPE: WeightType = WeightType::Q2_K;
    const BITS: u32 = 2;
    const N_SCALES: usize = 2;
    type Block = Q2KBlock;
    type Shared = ();
    const EMPTY: Q2KBlock = Q2KBlock {
        mins: [[0; 2]; LANES],
        rest: Halved { scales: [[0; 2]; LANES], small: [[0; 16]; N], quanta: [Bits2::EMPTY; N] },
    };

    fn pack(rows: &[Stored; LANES]) -> Q2KBlock {
        let small = all_small(rows, |row| std::array::from_fn(|nth| row.small_scales[nth] | row.small_mins[nth] << 4));
        Q2KBlock { mins: mins_of(rows), rest: Halved { scales: halves_of(rows), small, quanta: all_groups(rows) } }
    }

    fn extract(block: &Q2KBlock, lane: usize) -> Stored {
        let both = get_small(&block.rest.small, lane);
        let mut row = ungroup(&block.rest.quanta, lane);
        (row.scale, row.min) = (block.rest.scales[lane], block.mins[lane]);
        (row.small_scales, row.small_mins) = (both.map(|both| both & 15), both.map(|both| both >> 4));
        row
    }

    #[inline(always)]
    fn shared(_block: &Q2KBlock) {}

    #[inline(always)]
    fn group<S: Simd>(simd: S, block: &Q2KBlock, _shared: &(), nth: usize) -> Group<S> {
        let (mut scales, mut mins) = (block.rest.small[nth], block.rest.small[nth]);
        for at in 0..16 {
            scales[at] &= 15;
            mins[at] >>= 4;
        }
        let (scale, min) = (simd.halves(&block.rest.scales), simd.halves(&block.mins));
        let min = simd.mul(min, simd.splat(-1.0));
        let ((scale_0, scale_1), (min_0, min_1)) = (split(&scales), split(&mins));
        Group {
            quanta: block.rest.quanta[nth].unpack(simd),
            scales: [simd.mul(scale, simd.small(scale_0)), simd.mul(scale, simd.small(scale_1))],
            mins: [simd.mul(min, simd.small(min_0)), simd.mul(min, simd.small(min_1))],
        }
    }
}
