//! Weight matrices in the layout that the kernels read, and their products.
//!
//! A matrix is held once, in tiles of rows whose elements lie interleaved so that a vector's lanes are rows. Quantised
//! types keep the bits of their file and are multiplied as integers with activations of 8 bits; unquantised ones are
//! multiplied in f32. Each result is computed in an order that depends on the width alone: a row's product is the same,
//! bit for bit, alone and among others, and on any number of threads.

mod activations;
mod columns;
mod floats;
mod format;
mod measured;
mod quanta;
mod quantised;
mod simd;
mod stored;
#[cfg(test)]
mod tests;
mod tiles;

use std::{fmt, ops::Range};

use alcazar_core::{BackendError, RawTensor, WeightType};

#[doc(hidden)]
pub use self::measured::Measured;
use self::{
    activations::Activations,
    columns::Columns,
    floats::{Brain, FloatTiles, Half},
    format::{Mxfp4, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0},
    quantised::QuantisedTiles,
    simd::{Isa, LANES},
    tiles::{Input, Tiles},
};
use crate::pool::Pool;

/// Products that are worth a turn of a thread.
const PIECE: usize = 1 << 14;
/// Pieces for each thread: one that is held up leaves the rest of its share to the others.
const PIECES_PER_THREAD: usize = 8;

/// A weight matrix `[out, in]` in the layout that the kernels read.
pub struct Matrix {
    tiles: Box<dyn Tiles>,
    weight_type: WeightType,
    n_out: usize,
    n_in: usize,
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix({}, [{}, {}])", self.weight_type, self.n_out, self.n_in)
    }
}

impl Matrix {
    /// Takes a matrix over. Fails where the shape is not of a matrix, or the bytes are not as many as it takes.
    pub(crate) fn new(raw: &RawTensor<'_>, pool: &Pool) -> Result<Self, BackendError> {
        let &[n_out, n_in] = raw.shape.as_slice() else { return Err(unfit(raw, "a matrix [out, in]".to_owned())) };
        let n_bytes = raw.weight_type.tensor_bytes(&raw.shape);
        if n_bytes != Some(raw.data.len() as u64) || raw.data.is_empty() {
            let expected = n_bytes.map_or("whole blocks in each row".to_owned(), |n_bytes| format!("{n_bytes} bytes"));
            return Err(unfit(raw, expected));
        }
        let shape = [n_out, n_in];
        let tiles: Box<dyn Tiles> = match raw.weight_type {
            WeightType::F32 => Box::new(FloatTiles::<f32>::new(raw, shape, pool)),
            WeightType::F16 => Box::new(FloatTiles::<Half>::new(raw, shape, pool)),
            WeightType::BF16 => Box::new(FloatTiles::<Brain>::new(raw, shape, pool)),
            WeightType::Q4_0 => Box::new(QuantisedTiles::<Q4_0>::new(raw, shape, pool)),
            WeightType::Q4_1 => Box::new(QuantisedTiles::<Q4_1>::new(raw, shape, pool)),
            WeightType::Q5_0 => Box::new(QuantisedTiles::<Q5_0>::new(raw, shape, pool)),
            WeightType::Q5_1 => Box::new(QuantisedTiles::<Q5_1>::new(raw, shape, pool)),
            WeightType::Q8_0 => Box::new(QuantisedTiles::<Q8_0>::new(raw, shape, pool)),
            WeightType::Q2_K => Box::new(QuantisedTiles::<Q2K>::new(raw, shape, pool)),
            WeightType::Q3_K => Box::new(QuantisedTiles::<Q3K>::new(raw, shape, pool)),
            WeightType::Q4_K => Box::new(QuantisedTiles::<Q4K>::new(raw, shape, pool)),
            WeightType::Q5_K => Box::new(QuantisedTiles::<Q5K>::new(raw, shape, pool)),
            WeightType::Q6_K => Box::new(QuantisedTiles::<Q6K>::new(raw, shape, pool)),
            WeightType::MXFP4 => Box::new(QuantisedTiles::<Mxfp4>::new(raw, shape, pool)),
            WeightType::U8 => return Err(unfit(raw, "a type that is computed with".to_owned())),
        };
        Ok(Self { tiles, weight_type: raw.weight_type, n_out, n_in })
    }

    /// Rows.
    pub(crate) const fn n_out(&self) -> usize {
        self.n_out
    }

    /// Width.
    pub(crate) const fn n_in(&self) -> usize {
        self.n_in
    }

    /// Bytes that it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.tiles.memory_bytes()
    }

    /// Row `nth` as numbers, exactly those that the file stands for: `[in]`. `false` if there is no such row, or `out` is
    /// of another width.
    pub(crate) fn row(&self, nth: usize, out: &mut [f32]) -> bool {
        let fits = nth < self.n_out && out.len() == self.n_in;
        if fits {
            self.tiles.row(nth, out);
        }
        fits
    }

    /// `x · wᵀ`. Rows that `x` or `out` lacks are left out.
    ///
    /// # Shapes
    /// - x: `[n_rows, in]`; out: `[n_rows, out]`
    pub(crate) fn multiply(&self, x: &[f32], n_rows: usize, out: &mut [f32], pool: &Pool) {
        multiply_each([self], x, n_rows, [out], pool);
    }
}

/// Several products with the same `x`, which is prepared once. Matrices of another width than the first are left out.
///
/// # Shapes
/// - x: `[n_rows, in]`; each of outs: `[n_rows, out]` of its matrix
pub(crate) fn multiply_each<const N: usize>(
    matrices: [&Matrix; N],
    x: &[f32],
    n_rows: usize,
    outs: [&mut [f32]; N],
    pool: &Pool,
) {
    multiply_on(Isa::best(), matrices, x, n_rows, outs, pool);
}

fn multiply_on<const N: usize>(
    isa: Isa,
    matrices: [&Matrix; N],
    x: &[f32],
    n_rows: usize,
    outs: [&mut [f32]; N],
    pool: &Pool,
) {
    let Some(n_in) = matrices.first().map(|first| first.n_in) else { return };
    let sizes = matrices.iter().zip(&outs).map(|(matrix, out)| out.len() / matrix.n_out);
    let n_rows = sizes.fold(n_rows.min(x.len() / n_in), usize::min);
    if n_rows == 0 {
        return;
    }
    let x = &x[..n_rows * n_in];
    let is_quantised = matrices.iter().any(|matrix| matrix.tiles.is_quantised());
    let quantised = is_quantised.then(|| Activations::new(isa, x, n_in, pool));
    let input = Input { x, n_rows, quantised };
    let products: Vec<Product<'_>> = matrices
        .into_iter()
        .zip(outs)
        .filter(|(matrix, _)| matrix.n_in == n_in)
        .map(|(matrix, out)| Product::new(matrix, out, n_rows, pool.n_threads()))
        .collect();
    pool.run(products.iter().map(Product::n_pieces).sum(), &|mut nth| {
        for product in &products {
            if nth < product.n_pieces() {
                return product.matrix.tiles.multiply(isa, product.piece(nth), &input, &product.out);
            }
            nth -= product.n_pieces();
        }
    });
}

/// One of the products of a step.
struct Product<'a> {
    matrix: &'a Matrix,
    out: Columns<'a>,
    /// Tiles of a piece.
    piece: usize,
}

impl<'a> Product<'a> {
    fn new(matrix: &'a Matrix, out: &'a mut [f32], n_rows: usize, n_threads: usize) -> Self {
        let n_tiles = matrix.tiles.n_tiles();
        let tile = matrix.tiles.tile_rows() * matrix.n_in * n_rows;
        let piece = n_tiles.div_ceil(n_threads * PIECES_PER_THREAD).max(PIECE.div_ceil(tile));
        Self { matrix, out: Columns::new(out, n_rows, matrix.n_out), piece }
    }

    fn n_pieces(&self) -> usize {
        self.matrix.tiles.n_tiles().div_ceil(self.piece)
    }

    fn piece(&self, nth: usize) -> Range<usize> {
        let from = nth * self.piece;
        from..(from + self.piece).min(self.matrix.tiles.n_tiles())
    }
}

/// Bytes that a matrix of that type and shape takes in memory: those of its file, with the rows rounded up to whole tiles
/// (8 rows of quantised types, 32 of others).
pub(crate) fn memory_bytes(weight_type: WeightType, shape: [usize; 2]) -> u64 {
    let [n_out, n_in] = shape;
    let tile = if weight_type.block_elements() == 1 { floats::TILE } else { LANES };
    let rows = (n_out.div_ceil(tile) as u64).saturating_mul(tile as u64);
    let row_blocks = n_in.div_ceil(weight_type.block_elements()) as u64;
    rows.saturating_mul(row_blocks).saturating_mul(weight_type.block_bytes() as u64)
}

fn unfit(raw: &RawTensor<'_>, expected: String) -> BackendError {
    BackendError::Shape {
        op: "load",
        found: format!(
            "tensor {} ({}) of shape {:?} in {} bytes",
            raw.name,
            raw.weight_type,
            raw.shape,
            raw.data.len()
        ),
        expected,
    }
}
