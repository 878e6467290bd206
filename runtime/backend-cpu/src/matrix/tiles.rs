//! What the kinds of matrices have in common: tiles of some rows each, which are multiplied one by one.

use std::ops::Range;

use super::{activations::Activations, columns::Columns, simd::Isa};

/// What a matrix is multiplied with.
pub(super) struct Input<'a> {
    pub(super) x: &'a [f32],
    pub(super) n_rows: usize,
    /// Where a matrix asks for it.
    pub(super) quantised: Option<Activations>,
}

pub(super) trait Tiles: Send + Sync {
    /// Rows of a tile; the last one may lack some.
    fn tile_rows(&self) -> usize;
    fn n_tiles(&self) -> usize;
    fn memory_bytes(&self) -> usize;
    /// Whether the activations are.
    fn is_quantised(&self) -> bool;
    /// Writes the columns that belong to these tiles. The order of additions does not depend on the number of rows.
    fn multiply(&self, isa: Isa, tiles: Range<usize>, x: &Input<'_>, out: &Columns<'_>);
    /// Row `nth`, which there is, as numbers.
    fn row(&self, nth: usize, out: &mut [f32]);
}
