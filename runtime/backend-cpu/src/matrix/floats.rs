//! Products with matrices of F32, F16 and BF16: in f32, with every weight widened exactly.
//!
//! A tile is 32 rows; of each column in it, four vectors of eight rows lie together. Each sum runs over the columns in
//! order.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use std::ops::Range;

use alcazar_core::RawTensor;
use half::{bf16, f16};

use super::{
    columns::Columns,
    simd::{Isa, Kernel, LANES, Simd},
    tiles::{Input, Tiles},
};
use crate::pool::Pool;

/// Vectors of a column of a tile: so many sums can be in flight for one row.
const VECTORS: usize = 4;
pub(super) const TILE: usize = VECTORS * LANES;
/// Rows of activations that are multiplied with a column while it is in registers.
const ROWS: usize = 3;
/// Columns that are widened once for many rows.
const WIDENED: usize = 64;
/// Rows that a tile is multiplied with before the next one: their sums are kept aside.
const PANEL: usize = 48;

/// A type of numbers.
pub(super) trait Number: Copy + Send + Sync + 'static {
    const ZERO: Self;

    /// Of as many bytes as such a number has.
    fn read(bytes: &[u8]) -> Self;
    fn to_f32(self) -> f32;
    fn widen<S: Simd>(simd: S, numbers: &[Self; LANES]) -> S::Floats;
}

impl Number for f32 {
    const ZERO: Self = 0.0;

    fn read(bytes: &[u8]) -> Self {
        bytes.first_chunk().map_or(0.0, |bytes| Self::from_le_bytes(*bytes))
    }

    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn widen<S: Simd>(simd: S, numbers: &[Self; LANES]) -> S::Floats {
        simd.floats(numbers)
    }
}

/// An f16's bytes.
#[derive(Clone, Copy)]
pub(super) struct Half([u8; 2]);

/// A bf16's bytes.
#[derive(Clone, Copy)]
pub(super) struct Brain([u8; 2]);

macro_rules! sixteen {
    ($name:ident, $number:ident, $widen:ident) => {
        impl Number for $name {
            const ZERO: Self = Self([0; 2]);

            fn read(bytes: &[u8]) -> Self {
                Self(bytes.first_chunk().copied().unwrap_or_default())
            }

            fn to_f32(self) -> f32 {
                $number::from_le_bytes(self.0).to_f32()
            }

            #[inline(always)]
            fn widen<S: Simd>(simd: S, numbers: &[Self; LANES]) -> S::Floats {
                let mut bytes = [[0; 2]; LANES];
                for lane in 0..LANES {
                    bytes[lane] = numbers[lane].0;
                }
                simd.$widen(&bytes)
            }
        }
    };
}

sixteen!(Half, f16, halves);
sixteen!(Brain, bf16, brains);

type Column<T> = [[T; LANES]; VECTORS];

pub(super) struct FloatTiles<T> {
    columns: Vec<Column<T>>,
    /// Columns of a tile.
    n_in: usize,
}

impl<T: Number> FloatTiles<T> {
    /// The shape and the length of `raw` were checked.
    pub(super) fn new(raw: &RawTensor<'_>, [n_out, n_in]: [usize; 2], pool: &Pool) -> Self {
        let mut columns = vec![[[T::ZERO; LANES]; VECTORS]; n_out.div_ceil(TILE) * n_in];
        pool.for_each_chunk(&mut columns, n_in, |tile, columns| {
            let row_bytes = n_in * size_of::<T>();
            for lane in 0..TILE {
                let at = (tile * TILE + lane) * row_bytes;
                let Some(row) = raw.data.get(at..at + row_bytes) else { break };
                for (column, bytes) in columns.iter_mut().zip(row.chunks_exact(size_of::<T>())) {
                    column[lane / LANES][lane % LANES] = T::read(bytes);
                }
            }
        });
        Self { columns, n_in }
    }
}

impl<T: Number> Tiles for FloatTiles<T> {
    fn tile_rows(&self) -> usize {
        TILE
    }

    fn n_tiles(&self) -> usize {
        self.columns.len() / self.n_in
    }

    fn memory_bytes(&self) -> usize {
        size_of_val(self.columns.as_slice())
    }

    fn is_quantised(&self) -> bool {
        false
    }

    fn multiply(&self, isa: Isa, tiles: Range<usize>, x: &Input<'_>, out: &Columns<'_>) {
        isa.run(Product { tiles: self, range: tiles, x: x.x, n_rows: x.n_rows, out });
    }

    fn row(&self, nth: usize, out: &mut [f32]) {
        let (tile, lane) = (nth / TILE, nth % TILE);
        for (column, out) in self.columns[tile * self.n_in..].iter().zip(out) {
            *out = column[lane / LANES][lane % LANES].to_f32();
        }
    }
}

/// Some tiles' product.
struct Product<'a, T> {
    tiles: &'a FloatTiles<T>,
    range: Range<usize>,
    x: &'a [f32],
    n_rows: usize,
    out: &'a Columns<'a>,
}

type Sums = [[f32; LANES]; VECTORS];

impl<T: Number> Kernel for Product<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for from in (0..self.n_rows).step_by(PANEL) {
            let to = (from + PANEL).min(self.n_rows);
            for nth in self.range.clone() {
                let columns = &self.tiles.columns[nth * self.tiles.n_in..(nth + 1) * self.tiles.n_in];
                self.tile(simd, nth, columns, from..to);
            }
        }
    }
}

impl<T: Number> Product<'_, T> {
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, nth: usize, columns: &[Column<T>], rows: Range<usize>) {
        let mut sums = [[[0.0; LANES]; VECTORS]; PANEL];
        if rows.len() <= ROWS {
            self.rows(simd, columns, 0, rows.clone(), &mut sums);
        } else {
            self.many(simd, columns, rows.clone(), &mut sums);
        }
        for (row, sums) in rows.zip(&sums) {
            // SAFETY: each tile is one thread's alone, and a tile's columns are no other's.
            #[expect(unsafe_code, reason = "tiles share no columns")]
            unsafe {
                self.out.write(row, nth * TILE, sums.as_flattened());
            }
        }
    }

    /// Many rows: some columns are widened, then used for all rows.
    #[inline(always)]
    fn many<S: Simd>(&self, simd: S, columns: &[Column<T>], rows: Range<usize>, sums: &mut [Sums]) {
        let mut widened = [[[0.0; LANES]; VECTORS]; WIDENED];
        for (nth, columns) in columns.chunks(WIDENED).enumerate() {
            for (widened, column) in widened.iter_mut().zip(columns) {
                for vector in 0..VECTORS {
                    simd.store(T::widen(simd, &column[vector]), &mut widened[vector]);
                }
            }
            self.rows(simd, &widened[..columns.len()], nth * WIDENED, rows.clone(), sums);
        }
    }

    #[inline(always)]
    fn rows<S: Simd, N: Number>(
        &self,
        simd: S,
        columns: &[Column<N>],
        from: usize,
        rows: Range<usize>,
        sums: &mut [Sums],
    ) {
        let mut row = 0;
        while row < rows.len() {
            let first = rows.start + row;
            let sums = &mut sums[row..];
            row += match rows.len() - row {
                1 => self.some::<S, N, 1>(simd, columns, from, first, sums),
                2 | 4 => self.some::<S, N, 2>(simd, columns, from, first, sums),
                _ => self.some::<S, N, ROWS>(simd, columns, from, first, sums),
            };
        }
    }

    /// Some rows with columns from number `from` on.
    #[inline(always)]
    fn some<S: Simd, N: Number, const R: usize>(
        &self,
        simd: S,
        columns: &[Column<N>],
        from: usize,
        first: usize,
        out: &mut [Sums],
    ) -> usize {
        let mut x = [&self.x[..0]; R];
        let mut sums = [[simd.splat(0.0); VECTORS]; R];
        for row in 0..R {
            let at = (first + row) * self.tiles.n_in + from;
            x[row] = &self.x[at..at + columns.len()];
            for vector in 0..VECTORS {
                sums[row][vector] = simd.floats(&out[row][vector]);
            }
        }
        for (nth, column) in columns.iter().enumerate() {
            for vector in 0..VECTORS {
                let weights = N::widen(simd, &column[vector]);
                for row in 0..R {
                    sums[row][vector] = simd.mul_add(weights, simd.splat(x[row][nth]), sums[row][vector]);
                }
            }
        }
        for row in 0..R {
            for vector in 0..VECTORS {
                simd.store(sums[row][vector], &mut out[row][vector]);
            }
        }
        R
    }
}
