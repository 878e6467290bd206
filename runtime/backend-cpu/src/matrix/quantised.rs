//! Products with quantised matrices.
//!
//! A tile is eight rows; a vector has four elements of each. The activations are quantised as well, so that the products
//! of a group of 32 elements are summed as integers; the sums of the groups are added up in order.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use std::ops::Range;

use alcazar_core::RawTensor;

use super::{
    activations::{Activations, Quantised},
    columns::Columns,
    format::{Format, Group},
    simd::{Isa, Kernel, LANES, Simd},
    stored::Stored,
    tiles::{Input, Tiles},
};
use crate::pool::Pool;

/// Rows of activations that are multiplied with a group while it is in registers.
const ROWS: usize = 4;
/// Groups that are unpacked once for many rows.
const UNPACKED: usize = 8;
/// Rows that a tile is multiplied with before the next one: their activations stay in the cache.
const PANEL: usize = 64;

pub(super) struct QuantisedTiles<F: Format> {
    blocks: Vec<F::Block>,
    /// Blocks of a row, which are those of a tile.
    n_blocks: usize,
}

impl<F: Format> QuantisedTiles<F> {
    /// The shape and the length of `raw` were checked.
    pub(super) fn new(raw: &RawTensor<'_>, [n_out, n_in]: [usize; 2], pool: &Pool) -> Self {
        let n_blocks = n_in / F::WEIGHT_TYPE.block_elements();
        let block_bytes = F::WEIGHT_TYPE.block_bytes();
        let mut blocks = vec![F::EMPTY; n_out.div_ceil(LANES) * n_blocks];
        pool.for_each_chunk(&mut blocks, n_blocks, |tile, blocks| {
            for (nth, block) in blocks.iter_mut().enumerate() {
                let mut rows = [Stored::EMPTY; LANES];
                for (lane, row) in rows.iter_mut().enumerate() {
                    let at = ((tile * LANES + lane) * n_blocks + nth) * block_bytes;
                    if let Some(bytes) = raw.data.get(at..at + block_bytes) {
                        *row = Stored::read(F::WEIGHT_TYPE, bytes);
                    }
                }
                *block = F::pack(&rows);
            }
        });
        Self { blocks, n_blocks }
    }
}

impl<F: Format> Tiles for QuantisedTiles<F> {
    fn tile_rows(&self) -> usize {
        LANES
    }

    fn n_tiles(&self) -> usize {
        self.blocks.len() / self.n_blocks
    }

    fn memory_bytes(&self) -> usize {
        size_of_val(self.blocks.as_slice())
    }

    fn is_quantised(&self) -> bool {
        true
    }

    fn multiply(&self, isa: Isa, tiles: Range<usize>, x: &Input<'_>, out: &Columns<'_>) {
        if let Some(activations) = &x.quantised {
            isa.run(Product { tiles: self, range: tiles, x: activations, n_rows: x.n_rows, out });
        }
    }

    fn row(&self, nth: usize, out: &mut [f32]) {
        let blocks = &self.blocks[nth / LANES * self.n_blocks..];
        for (block, out) in blocks.iter().zip(out.chunks_mut(F::WEIGHT_TYPE.block_elements())) {
            F::extract(block, nth % LANES).values(F::WEIGHT_TYPE, out);
        }
    }
}

/// Some tiles' product.
struct Product<'a, F: Format> {
    tiles: &'a QuantisedTiles<F>,
    range: Range<usize>,
    x: &'a Activations,
    n_rows: usize,
    out: &'a Columns<'a>,
}

impl<F: Format> Kernel for Product<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for from in (0..self.n_rows).step_by(PANEL) {
            let to = (from + PANEL).min(self.n_rows);
            for nth in self.range.clone() {
                let blocks = &self.tiles.blocks[nth * self.tiles.n_blocks..(nth + 1) * self.tiles.n_blocks];
                self.tile(simd, nth, blocks, from..to);
            }
        }
    }
}

impl<F: Format> Product<'_, F> {
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, nth: usize, blocks: &[F::Block], rows: Range<usize>) {
        let mut sums = [[0.0; LANES]; PANEL];
        match rows.len() {
            1 => self.few::<S, 1>(simd, blocks, rows.start, &mut sums),
            2 => self.few::<S, 2>(simd, blocks, rows.start, &mut sums),
            3 => self.few::<S, 3>(simd, blocks, rows.start, &mut sums),
            4 => self.few::<S, 4>(simd, blocks, rows.start, &mut sums),
            _ => self.many(simd, blocks, rows.clone(), &mut sums),
        }
        for (row, sums) in rows.zip(&sums) {
            // SAFETY: each tile is one thread's alone, and a tile's columns are no other's.
            #[expect(unsafe_code, reason = "tiles share no columns")]
            unsafe {
                self.out.write(row, nth * LANES, sums);
            }
        }
    }

    /// Few rows: what is unpacked is used at once.
    #[inline(always)]
    fn few<S: Simd, const R: usize>(
        &self,
        simd: S,
        blocks: &[F::Block],
        first: usize,
        out: &mut [[f32; LANES]; PANEL],
    ) {
        let mut x = [self.x.row(first); R];
        for (nth, x) in x.iter_mut().enumerate() {
            *x = self.x.row(first + nth);
        }
        let mut sums = [simd.splat(0.0); R];
        for (nth, block) in blocks.iter().enumerate() {
            let shared = F::shared(block);
            for at in 0..F::GROUPS {
                let group = F::group(simd, block, &shared, at);
                for row in 0..R {
                    sums[row] = add_product::<S, F>(simd, &group, &x[row][nth * F::GROUPS + at], sums[row]);
                }
            }
        }
        for row in 0..R {
            simd.store(sums[row], &mut out[row]);
        }
    }

    /// Many rows: some groups are unpacked, then used for all rows.
    #[inline(always)]
    fn many<S: Simd>(&self, simd: S, blocks: &[F::Block], rows: Range<usize>, sums: &mut [[f32; LANES]; PANEL]) {
        let Some(first) = blocks.first() else { return };
        let mut unpacked = [F::group(simd, first, &F::shared(first), 0); UNPACKED];
        for (nth, blocks) in blocks.chunks(UNPACKED / F::GROUPS).enumerate() {
            for (nth, block) in blocks.iter().enumerate() {
                let shared = F::shared(block);
                for at in 0..F::GROUPS {
                    unpacked[nth * F::GROUPS + at] = F::group(simd, block, &shared, at);
                }
            }
            let groups = &unpacked[..blocks.len() * F::GROUPS];
            let from = nth * UNPACKED;
            let mut row = 0;
            while row < rows.len() {
                let first = rows.start + row;
                let sums = &mut sums[row..];
                row += match rows.len() - row {
                    1 => self.rows::<S, 1>(simd, groups, from, first, sums),
                    2 => self.rows::<S, 2>(simd, groups, from, first, sums),
                    3 => self.rows::<S, 3>(simd, groups, from, first, sums),
                    _ => self.rows::<S, ROWS>(simd, groups, from, first, sums),
                };
            }
        }
    }

    /// Some rows with groups from number `from` on.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(
        &self,
        simd: S,
        groups: &[Group<S>],
        from: usize,
        first: usize,
        out: &mut [[f32; LANES]],
    ) -> usize {
        let mut x = [self.x.row(first); R];
        let mut sums = [simd.splat(0.0); R];
        for row in 0..R {
            x[row] = &self.x.row(first + row)[from..from + groups.len()];
            sums[row] = simd.floats(&out[row]);
        }
        for (nth, group) in groups.iter().enumerate() {
            for row in 0..R {
                sums[row] = add_product::<S, F>(simd, group, &x[row][nth], sums[row]);
            }
        }
        for row in 0..R {
            simd.store(sums[row], &mut out[row]);
        }
        R
    }
}

/// `sum + group · x`.
#[inline(always)]
fn add_product<S: Simd, F: Format>(simd: S, group: &Group<S>, x: &Quantised, sum: S::Floats) -> S::Floats {
    let [scale_0, scale_1] = group.scales;
    let [min_0, min_1] = group.mins;
    let product = if F::N_SCALES == 1 {
        let dot = simd.to_floats(simd.dot(F::BITS, &group.quanta, &x.quanta));
        simd.mul_add(dot, scale_0, simd.mul(min_0, simd.splat(x.sums[2])))
    } else {
        let (first, second) = (&group.quanta[..4], &group.quanta[4..]);
        let dot_0 = simd.to_floats(simd.dot(F::BITS, first, &x.quanta[..4]));
        let dot_1 = simd.to_floats(simd.dot(F::BITS, second, &x.quanta[4..]));
        let both = simd.mul_add(dot_0, scale_0, simd.mul(min_0, simd.splat(x.sums[0])));
        simd.mul_add(min_1, simd.splat(x.sums[1]), simd.mul_add(dot_1, scale_1, both))
    };
    simd.mul_add(product, simd.splat(x.scale), sum)
}
